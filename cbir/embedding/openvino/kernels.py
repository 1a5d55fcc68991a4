"""Chooses the fastest convolution kernels for this processor, measured once per network.

On a processor with AVX2 alone OpenVINO stores the channels of a pixel together ("brgconv"). With
blocks of eight channels, depthwise convolutions take two thirds of the time, and the convolutions
around them as long as before. On Zen 3 the time of efficientnet_lite0 falls to 0.86, mobilenet_v2's
to 0.89, efficientnet_b0's to 0.95; convnext_tiny's would rise to 1.7, shufflenet_v2_x1_0's to 2.4.
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

from cbir.embedding.openvino.cache import cache_network, cached_network
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
"""Other kernels are chosen if they take less than this share of the usual time; above is noise."""


def tuned_network(name: str) -> Path | None:
    """The .xml file of a network tuned for this processor, if it is in the cache."""
    return cached_network(_tuned(name))


def tune_network(name: str, network: Path) -> Path:
    """Tunes a network for this processor by measuring kernels, and caches the result.

    Returns the network itself where there is no choice, or where measuring or caching fails.
    """
    if not kernel_family():
        return network

    from cbir.embedding.openvino.annotations import (
        grouped_layers,  # imports an XML parser, which no search needs
    )

    def write(folder: Path) -> None:
        copy = folder / network.name
        shutil.copyfile(network, copy)
        _link(network.with_suffix(".bin"), copy.with_suffix(".bin"))
        grouped = grouped_layers(copy)
        if grouped and all(_is_depthwise(layer) for layer in grouped):
            _choose(copy)

    try:
        return cache_network(_tuned(name), write)
    except (CbirError, RuntimeError) as error:
        log.warning("%s runs untuned: %s", name, error)
        return network


def _tuned(name: str) -> str:
    """The name of a network in the cache, with the processor's kernel family if it has one."""
    return "-".join(filter(None, (name, kernel_family())))


def _choose(network: Path) -> None:
    """Rewrites an .xml file to use blocked kernels where they are faster."""
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
    """Seconds that each network takes for a batch on one core, measured in turns."""
    core = import_openvino().Core()
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    compiled = [
        compile_network(core, core.read_model(network, weights), "fp32", options)
        for network in networks
    ]
    side = compiled[0].input(0).partial_shape[1].get_length()
    images = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
    requests = [network.create_infer_request() for network in compiled]
    seconds: list[list[float]] = [[] for _ in requests]
    for request in requests:
        _timed(request, images)  # the first run creates the kernels
    started = time.perf_counter()
    while len(seconds[0]) < ROUNDS and time.perf_counter() - started < ENOUGH_S:
        for request, times in zip(requests, seconds, strict=True):
            times.append(_timed(request, images))
    return [float(np.median(times)) for times in seconds]


def _timed(request: Any, images: np.ndarray[Any, Any]) -> float:
    started = time.perf_counter()
    request.infer([images])
    return time.perf_counter() - started


def _is_depthwise(layer: Element) -> bool:
    """Whether each group is one channel in and out: weights (groups, 1, 1, height, width)."""
    return [dim.text for dim in layer.findall("./input/port[@id='1']/dim")][1:3] == ["1", "1"]


def _link(weights: Path, place: Path) -> None:
    """A hard link to the weights, or a copy where the file system has none."""
    try:
        os.link(weights, place)
    except OSError:
        shutil.copyfile(weights, place)
