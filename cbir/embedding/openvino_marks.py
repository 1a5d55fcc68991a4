"""Marks in an exported network by which OpenVINO's CPU plugin runs single layers otherwise.

Both are attributes of OpenVINO's own format that its Python API cannot set.
"""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from cbir.embedding.openvino_import import import_openvino

__all__ = ["choose_kernels", "keep_first_depthwise_exact", "processor_kind"]

BLOCKED = {"GroupConvolution": "cpu:jit_avx2_dw", "Convolution": "cpu:jit_avx2_1x1"}
"""oneDNN's kernels for channels in blocks of eight."""
BATCH = 4
ROUNDS = 7
ENOUGH_S = 2.0
GAIN = 0.97
"""What the time must fall to; the rest is noise."""


def processor_kind() -> str:
    """`avx2` for an x86 processor without AVX-512, otherwise nothing."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return "avx2" if re.search(r"\bavx2\b", flags) and not re.search(r"\bavx512f\b", flags) else ""


def keep_first_depthwise_exact(network: Path) -> None:
    """Marks the first grouped convolution in an .xml file to stay in float32 where the rest is not.

    A depthwise convolution adds up nine products where others add up hundreds, so that what
    bfloat16 rounds does not average out, and the first one decides for all that follow. Over 200
    photographs and efficientnet_lite0 the worst cosine between bf16 and fp32 rises from 0.990 to
    0.999 for 5 % of the speed. The mark is named for float16 (DisableFP16Compression), and the CPU
    plugin heeds it for bfloat16, too.
    """
    tree = ElementTree.parse(network)
    layer = tree.find("./layers/layer[@type='GroupConvolution']")
    if layer is not None:
        _mark(layer, name="precise", version="0")
        _write(tree, network)


def choose_kernels(network: Path) -> None:
    """Has a network of depthwise convolutions run in whichever kernels are faster here.

    On a processor with AVX2 alone OpenVINO keeps the channels of a pixel together ("brgconv").
    Depthwise convolutions take two thirds of that time on blocks of eight channels, and the ones
    around them no longer. On Zen 3 the time of efficientnet_lite0 falls to 0.86, mobilenet_v2's to
    0.89, efficientnet_b0's to 0.95; convnext_tiny's would rise to 1.7, shufflenet_v2_x1_0's to
    2.4. So both are measured.
    """
    tree = ElementTree.parse(network)
    layers = tree.findall("./layers/layer")
    grouped = [layer for layer in layers if layer.get("type") == "GroupConvolution"]
    if not (processor_kind() and grouped and all(_is_depthwise(layer) for layer in grouped)):
        return
    for layer in layers:
        if (kernels := BLOCKED.get(layer.get("type", ""))) is not None:
            _mark(layer, name="primitives_priority", version="0", value=kernels)
    blocked = network.with_name(f"blocked-{network.name}")
    _write(tree, blocked)
    weights = network.with_suffix(".bin")
    usual, other = _times([(network, weights), (blocked, weights)])
    if other < GAIN * usual:
        blocked.replace(network)
    else:
        blocked.unlink()


def _times(networks: list[tuple[Path, Path]]) -> list[float]:
    """Seconds that each takes for a batch on one core, measured in turns."""
    core = import_openvino().Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    compiled = [
        core.compile_model(core.read_model(network, weights), "CPU", config)
        for network, weights in networks
    ]
    side = compiled[0].input(0).partial_shape[1].get_length()
    images = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
    requests = [one.create_infer_request() for one in compiled]
    seconds: list[list[float]] = [[] for _ in requests]
    ready: float | None = None
    while len(seconds[0]) < ROUNDS and (ready is None or time.perf_counter() - ready < ENOUGH_S):
        found = [_timed(request, images) for request in requests]
        if ready is None:  # the first round made the kernels
            ready = time.perf_counter()
        else:
            for own, taken in zip(seconds, found, strict=True):
                own.append(taken)
    return [statistics.median(own) for own in seconds]


def _timed(request: Any, images: np.ndarray[Any, Any]) -> float:
    started = time.perf_counter()
    request.infer([images])
    return time.perf_counter() - started


def _is_depthwise(layer: ElementTree.Element) -> bool:
    """Whether each group is one channel in and out: weights (groups, 1, 1, height, width)."""
    return [dim.text for dim in layer.findall("./input/port[@id='1']/dim")][1:3] == ["1", "1"]


def _mark(layer: ElementTree.Element, **attribute: str) -> None:
    info = layer.find("rt_info")
    if info is None:
        info = ElementTree.Element("rt_info")
        # The format's order: data, rt_info, input, output.
        layer.insert(0 if layer.find("data") is None else 1, info)
    ElementTree.SubElement(info, "attribute", attribute)


def _write(tree: ElementTree.ElementTree[Any], network: Path) -> None:
    tree.write(network, encoding="utf-8", xml_declaration=True)
