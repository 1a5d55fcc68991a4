"""One door to every backbone and runtime: fix a spec, then open it for work."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.config import DEFAULT_BACKBONE, EmbeddingSpec, GalleryConfig, View
from cbir.embedding.backbone import Backbone, WeightsFile
from cbir.embedding.registry import find_backbone
from cbir.embedding.weights import Weights, locate_weights
from cbir.errors import BackboneError, SpecMismatchError

__all__ = [
    "Embedder",
    "Precision",
    "Runtime",
    "embedder_for",
    "load_embedder",
    "quantise",
    "resolve_spec",
    "run_once",
]

log = logging.getLogger(__name__)

Runtime = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]


class Embedder(Protocol):
    """Images of one embedding space into vectors; safe to call from several threads at once."""

    @property
    def spec(self) -> EmbeddingSpec: ...

    @property
    def device(self) -> str:
        """Where it computes: `cpu`, or a GPU as `cuda:0`."""
        ...

    @property
    def parallelism(self) -> int:
        """How many threads that call `embed` at once pay off."""
        ...

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1; no images give (0, D)."""
        ...

    def describe(self) -> str:
        """Where and how it runs, for people: `openvino bf16, 2 streams`."""
        ...


def resolve_spec(
    backbone: str = DEFAULT_BACKBONE,
    *,
    pooling: str | None = None,
    weights: str | None = None,
    input_size: int | None = None,
    views: Sequence[View] = ("crop",),
    flip: bool = False,
) -> tuple[EmbeddingSpec, str | None]:
    """The embedding space of a backbone, and where its weights came from.

    `weights` is a name such as `IMAGENET1K_V1` or a checkpoint file, by default the backbone's
    best; a file takes the preprocessing of the default weights. `input_size` is the side of the
    network's input in pixels where it shall not be the weights' own; `views` and `flip` are those
    of `EmbeddingSpec`. The second value is that name or the file's absolute path, None for a
    backbone without weights. Raises BackboneError, or WeightsError where the weights are missing,
    damaged or cannot be downloaded.
    """
    found = find_backbone(backbone)
    chosen = found.check_pooling(pooling)
    if not found.weights:
        if weights is not None:
            raise BackboneError(f"{found.name} has no weights to choose; leave {weights!r} out")
        if input_size not in (None, found.preprocessing.crop):
            raise BackboneError(f"{found.name} has one input size; leave {input_size} out")
        spec = EmbeddingSpec(found.name, "none", chosen, found.channels, found.preprocessing)
        return replace(spec, views=tuple(views), flip=flip), None
    located = locate_weights(found, weights)
    variant = located.variant
    if input_size is not None:
        variant = found.resized(variant, input_size)
        if chosen == "flatten" and variant is not located.variant:
            variant = _with_its_map(found, variant)
    spec = EmbeddingSpec(
        backbone=found.name,
        weights=located.identity,
        pooling=chosen,
        dim=found.dim_of(chosen, variant),
        preprocessing=variant.preprocessing,
        views=tuple(views),
        flip=flip,
    )
    return spec, located.label


def _with_its_map(backbone: Backbone, variant: WeightsFile) -> WeightsFile:
    """A resized variant with the true side of its feature map, found by running the network."""
    from cbir.embedding.networks import map_side

    return replace(variant, map_side=map_side(backbone, variant.preprocessing.crop))


def load_embedder(
    spec: EmbeddingSpec,
    *,
    weights_from: str | None = None,
    device: str = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    streams: int | None = None,
    calibration: str | None = None,
) -> Embedder:
    """Opens the network of a spec.

    `device` is auto, cpu, cuda or cuda:N. A CPU runs OpenVINO, which imports torch only the first
    time, to export the network; a GPU runs torch. `streams` is how many calls a CPU works on at
    once: None is one that has all cores, for the shortest answer to a single query; indexing
    passes `available_cores()`. `calibration` names the int8 network that `quantise` has made,
    which a CPU then runs unless another precision is asked for. Raises BackboneError, WeightsError
    where the checkpoint is needed and cannot be had, SpecMismatchError if it is not the one the
    spec was made with.
    """
    backbone = find_backbone(spec.backbone)
    if backbone.family == "tiny_image":
        from cbir.embedding.tiny_image import TinyImageEmbedder

        return TinyImageEmbedder(spec)
    if precision == "int8" and runtime == "auto":
        runtime = "openvino"
    place, engine = _choose(device, runtime)
    if engine == "openvino":
        from cbir.embedding.openvino_import import import_openvino
        from cbir.embedding.openvino_runtime import OpenVinoRuntime

        with ThreadPoolExecutor(1) as pool:
            # A large network is checked for as long as the import takes, and lets go of the GIL.
            importing = pool.submit(import_openvino)
            wanted = calibration if precision in ("auto", "int8") else None
            network = _quantised(spec, wanted)
            if network is not None:
                precision = "int8"
            elif precision == "int8":
                raise BackboneError(
                    f"{spec.backbone} has no int8 network calibrated for this gallery; "
                    f"'cbir index SOURCE --precision int8' makes one"
                )
            else:
                network = _tuned(spec, weights_from)
            importing.result()
        return OpenVinoRuntime(spec, network, precision=precision, streams=streams or 1)

    from cbir.embedding.torch_runtime import TorchRuntime

    return TorchRuntime(spec, _checkpoint(spec, weights_from), device=place, precision=precision)


def embedder_for(
    config: GalleryConfig,
    *,
    device: str = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    streams: int | None = None,
) -> Embedder:
    """Opens the network of a gallery, by its configuration; otherwise as `load_embedder`."""
    return load_embedder(
        config.spec,
        weights_from=config.weights_from,
        device=device,
        runtime=runtime,
        precision=precision,
        streams=streams,
        calibration=config.calibration,
    )


def run_once(embedder: Embedder) -> None:
    """Have a network run for the first time, which takes longest, before somebody waits for it."""
    side = embedder.spec.preprocessing.crop
    embedder.embed([np.zeros((side, side, 3), np.uint8)])


def quantise(
    spec: EmbeddingSpec, images: Sequence[Pixels], *, weights_from: str | None = None
) -> str:
    """Make the int8 network of a spec, calibrated on images (crop, crop, 3); its name.

    The name is the `calibration` of `load_embedder`. Raises MissingExtraError without NNCF, and
    BackboneError where the images are too few or the network does not bear it.
    """
    from cbir.embedding.openvino_int8 import quantise_network

    return quantise_network(spec, _exported(spec, weights_from), images)


def _quantised(spec: EmbeddingSpec, calibration: str | None) -> Path | None:
    if calibration is None:
        return None
    from cbir.embedding.openvino_int8 import quantised_network

    network = quantised_network(spec, calibration)
    if network is None:
        log.warning(
            "the int8 network of calibration %s is not in the cache; "
            "'cbir index SOURCE --precision int8' makes one again",
            calibration,
        )
    return network


def _exported(spec: EmbeddingSpec, weights_from: str | None) -> Path:
    from cbir.embedding.openvino_export import export_network, exported_network

    return exported_network(spec) or export_network(spec, _checkpoint(spec, weights_from))


def _tuned(spec: EmbeddingSpec, weights_from: str | None) -> Path:
    from cbir.embedding.openvino_kernels import tune_network, tuned_network

    name = spec.network_fingerprint
    return tuned_network(name) or tune_network(name, _exported(spec, weights_from))


def _choose(device: str, runtime: str) -> tuple[str, Literal["openvino", "torch"]]:
    """Device and runtime, with every `auto` decided. Raises BackboneError for what cannot be."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise BackboneError(f"no device {device!r}; choose auto, cpu, cuda or cuda:N")
    if runtime not in ("auto", "openvino", "torch"):
        raise BackboneError(f"no runtime {runtime!r}; choose auto, openvino or torch")
    if device == "auto":
        device = "cuda" if runtime != "openvino" and _cuda_works() else "cpu"
    if runtime == "auto":
        runtime = "openvino" if device == "cpu" else "torch"
    if runtime == "openvino":
        if device != "cpu":
            raise BackboneError(f"openvino does not run on {device}; choose the runtime torch")
        return device, "openvino"
    return device, "torch"


def _cuda_works() -> bool:
    """Whether torch can use a GPU; torch is asked, and imported, only where a driver is seen."""
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _checkpoint(spec: EmbeddingSpec, weights_from: str | None) -> Path:
    """The checkpoint the spec was made with. Raises SpecMismatchError, WeightsError."""
    backbone = find_backbone(spec.backbone)
    located: Weights = locate_weights(backbone, weights_from, identity=spec.weights)
    if located.identity != spec.weights:
        raise SpecMismatchError(
            f"the weights in {located.path} are {located.identity}, the gallery was made with "
            f"{spec.weights}; bring the original file back, or create a new gallery"
        )
    return located.path
