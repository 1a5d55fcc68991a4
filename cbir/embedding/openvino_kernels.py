"""Which kernels run an exported network fastest on this processor: measured, once.

On a processor with AVX2 alone OpenVINO keeps the channels of a pixel together ("brgconv").
Depthwise convolutions take two thirds of that time on blocks of eight channels, and the ones
around them no longer. On Zen 3 the time of efficientnet_lite0 falls to 0.86, mobilenet_v2's to
0.89, efficientnet_b0's to 0.95; convnext_tiny's would rise to 1.7, shufflenet_v2_x1_0's to 2.4.
resnet50 gains nothing, nor does efficientnet_lite0 in int8.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.embedding.openvino_cache import keep_network, kept_network
from cbir.embedding.openvino_import import import_openvino
from cbir.errors import CbirError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["processor_kind", "tune_network", "tuned_network"]

log = logging.getLogger(__name__)

BLOCKED = {"GroupConvolution": "cpu:jit_avx2_dw", "Convolution": "cpu:jit_avx2_1x1"}
"""oneDNN's kernels for channels in blocks of eight."""
BATCH = 4
ROUNDS = 7
ENOUGH_S = 2.0
GAIN = 0.97
"""What the time must fall to; the rest is noise."""


def processor_kind() -> str:
    """`avx2` for an x86 processor that computes in nothing newer, otherwise nothing."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    newer = re.search(r"\b(avx512f|avx_ne_convert)\b", flags)
    return "avx2" if re.search(r"\bavx2\b", flags) and not newer else ""


def tuned_network(name: str) -> Path | None:
    """The .xml file of a kept network as this processor runs it best, if that was found out."""
    return kept_network(_tuned(name)) if processor_kind() else kept_network(name)


def tune_network(name: str, network: Path) -> Path:
    """Finds out how this processor runs a kept network best, and keeps that beside it.

    Nothing to be had or kept: the network as it is.
    """
    if not processor_kind():
        return network

    from cbir.embedding.openvino_marks import layers_of  # with XML, which no search needs

    def write(folder: Path) -> None:
        own = folder / network.name
        shutil.copyfile(network, own)
        _link(network.with_suffix(".bin"), own.with_suffix(".bin"))
        grouped = layers_of(own)
        if grouped and all(_is_depthwise(layer) for layer in grouped):
            _choose(own)

    try:
        return keep_network(_tuned(name), write)
    except (CbirError, RuntimeError) as error:
        log.warning("%s runs untuned: %s", name, error)
        return network


def _tuned(name: str) -> str:
    return f"{name}-{processor_kind()}"


def _choose(network: Path) -> None:
    from cbir.embedding.openvino_marks import prefer_kernels

    blocked = network.with_name(f"blocked-{network.name}")
    shutil.copyfile(network, blocked)
    prefer_kernels(blocked, BLOCKED)
    usual, other = _times([network, blocked], network.with_suffix(".bin"))
    if other < GAIN * usual:
        blocked.replace(network)
    else:
        blocked.unlink()


def _times(networks: list[Path], weights: Path) -> list[float]:
    """Seconds that each takes for a batch on one core, measured in turns."""
    core = import_openvino().Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    compiled = [
        core.compile_model(core.read_model(network, weights), "CPU", config) for network in networks
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
    return [float(np.median(own)) for own in seconds]


def _timed(request: Any, images: np.ndarray[Any, Any]) -> float:
    started = time.perf_counter()
    request.infer([images])
    return time.perf_counter() - started


def _is_depthwise(layer: Element) -> bool:
    """Whether each group is one channel in and out: weights (groups, 1, 1, height, width)."""
    return [dim.text for dim in layer.findall("./input/port[@id='1']/dim")][1:3] == ["1", "1"]


def _link(weights: Path, place: Path) -> None:
    """The same file under another name, or a copy where a file has but one."""
    try:
        os.link(weights, place)
    except OSError:
        shutil.copyfile(weights, place)
