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
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.embedding.openvino.cache import keep_network, kept_network
from cbir.embedding.openvino.compiling import compile_network
from cbir.embedding.openvino.importing import import_openvino
from cbir.embedding.openvino.processor import kernel_family
from cbir.errors import CbirError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["tune_network", "tuned_network"]

log = logging.getLogger(__name__)

BLOCKED = {"GroupConvolution": "cpu:jit_avx2_dw", "Convolution": "cpu:jit_avx2_1x1"}
"""oneDNN's kernels for channels in blocks of eight."""
BATCH = 4
ROUNDS = 7
ENOUGH_S = 2.0
GAIN = 0.97
"""What the time must fall to; the rest is noise."""


def tuned_network(name: str) -> Path | None:
    """The .xml file of a kept network as this processor runs it best, if that was found out."""
    return kept_network(_tuned(name))


def tune_network(name: str, network: Path) -> Path:
    """Finds out how this processor runs a kept network best, and keeps that beside it.

    Nothing to be had or kept: the network as it is.
    """
    if not kernel_family():
        return network

    from cbir.embedding.openvino.annotations import (
        grouped_layers,  # with XML, which no search needs
    )

    def write(folder: Path) -> None:
        own = folder / network.name
        shutil.copyfile(network, own)
        _link(network.with_suffix(".bin"), own.with_suffix(".bin"))
        grouped = grouped_layers(own)
        if grouped and all(_is_depthwise(layer) for layer in grouped):
            _choose(own)

    try:
        return keep_network(_tuned(name), write)
    except (CbirError, RuntimeError) as error:
        log.warning("%s runs untuned: %s", name, error)
        return network


def _tuned(name: str) -> str:
    """The name under which this kind of processor has a network; the plain one for most."""
    return "-".join(filter(None, (name, kernel_family())))


def _choose(network: Path) -> None:
    from cbir.embedding.openvino.annotations import prefer_kernels

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
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    compiled = [
        compile_network(core, core.read_model(network, weights), "fp32", options)
        for network in networks
    ]
    side = compiled[0].input(0).partial_shape[1].get_length()
    images = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
    requests = [one.create_infer_request() for one in compiled]
    seconds: list[list[float]] = [[] for _ in requests]
    for request in requests:
        _timed(request, images)  # makes the kernels
    started = time.perf_counter()
    while len(seconds[0]) < ROUNDS and time.perf_counter() - started < ENOUGH_S:
        for request, own in zip(requests, seconds, strict=True):
            own.append(_timed(request, images))
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
