"""Opens the embedder of a spec: chooses device, runtime and precision, exports the network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cbir.arrays import Pixels
from cbir.config import EmbeddingSpec, GalleryConfig
from cbir.embedding.backbone import load_reference
from cbir.embedding.devices import choose_device
from cbir.embedding.embedder import Embedder, Precision, Runtime
from cbir.embedding.registry import find_backbone
from cbir.embedding.weights import locate_weights
from cbir.errors import BackboneError, SpecMismatchError

__all__ = ["embedder_for", "load_embedder", "quantise"]

log = logging.getLogger(__name__)


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

    `device` is auto, cpu, cuda, cuda:N, mps, xpu, xpu:N or openvino:GPU. A CPU runs OpenVINO, which
    imports torch only the first time, to export the network; a GPU runs torch. `streams` is the
    number of calls a CPU works on at once: None is one call with all cores, for the shortest
    latency of a query; indexing passes `available_cores()`. `calibration` names the int8 network
    that `quantise` has made, which a CPU runs unless another precision is requested. Raises
    BackboneError, WeightsError where the checkpoint is needed and not available, SpecMismatchError
    if it is not that of the spec.
    """
    backbone = find_backbone(spec.backbone)
    if backbone.embedder is not None:
        embedder: Embedder = load_reference(backbone, backbone.embedder)(spec)
        return embedder
    if precision == "int8" and runtime == "auto":
        runtime = "openvino"
    place, engine = choose_device(device, runtime)
    if engine == "openvino":
        from cbir.embedding.openvino.importing import import_openvino
        from cbir.embedding.openvino.runtime import OpenVinoRuntime

        with ThreadPoolExecutor(1) as pool:
            # In parallel: hashing a large network takes as long as the import and frees the GIL.
            importing = pool.submit(import_openvino)
            int8 = precision == "int8" or (precision == "auto" and place == "cpu")
            network = _quantised(spec, calibration) if int8 else None
            if network is not None:
                precision = "int8"
            elif precision == "int8":
                raise BackboneError(
                    f"{spec.backbone} has no int8 network calibrated for this gallery; "
                    f"'cbir index SOURCE --precision int8' makes one"
                )
            elif place == "cpu":
                network = _tuned(spec, weights_from)
            else:
                network = _exported(spec, weights_from)
            importing.result()
        return OpenVinoRuntime(
            spec, network, device=place, precision=precision, streams=streams or 1
        )

    from cbir.embedding.pytorch.runtime import TorchRuntime

    return TorchRuntime(spec, _checkpoint(spec, weights_from), device=place, precision=precision)


def embedder_for(
    config: GalleryConfig,
    *,
    device: str = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    streams: int | None = None,
) -> Embedder:
    """Opens the network of a gallery's configuration; other options as in `load_embedder`."""
    return load_embedder(
        config.spec,
        weights_from=config.weights_from,
        device=device,
        runtime=runtime,
        precision=precision,
        streams=streams,
        calibration=config.calibration,
    )


def quantise(
    spec: EmbeddingSpec, images: Sequence[Pixels], *, weights_from: str | None = None
) -> str:
    """Makes the int8 network of a spec, calibrated on images (crop, crop, 3); returns its name.

    The name is the `calibration` of `load_embedder`. Raises MissingExtraError without NNCF, and
    BackboneError where the images are too few or int8 changes the embeddings too much.
    """
    from cbir.embedding.openvino.int8 import quantise_network

    return quantise_network(spec, _exported(spec, weights_from), images)


def _quantised(spec: EmbeddingSpec, calibration: str | None) -> Path | None:
    """The int8 network of a calibration, if there is one in the cache."""
    if calibration is None:
        return None
    from cbir.embedding.openvino.int8 import quantised_network

    network = quantised_network(spec, calibration)
    if network is None:
        log.warning(
            "the int8 network of calibration %s is not in the cache; "
            "'cbir index SOURCE --precision int8' makes one again",
            calibration,
        )
    return network


def _exported(spec: EmbeddingSpec, weights_from: str | None) -> Path:
    """The exported network of a spec, exported now if necessary."""
    from cbir.embedding.openvino.export import export_network, exported_network

    return exported_network(spec) or export_network(spec, _checkpoint(spec, weights_from))


def _tuned(spec: EmbeddingSpec, weights_from: str | None) -> Path:
    """The exported network with the kernels that suit this processor."""
    from cbir.embedding.openvino.kernels import tune_network, tuned_network

    name = spec.network_fingerprint
    return tuned_network(name) or tune_network(name, _exported(spec, weights_from))


def _checkpoint(spec: EmbeddingSpec, weights_from: str | None) -> Path:
    """The checkpoint that a spec was made with. Raises SpecMismatchError, WeightsError."""
    backbone = find_backbone(spec.backbone)
    located = locate_weights(backbone, weights_from, identity=spec.weights)
    if located.identity != spec.weights:
        raise SpecMismatchError(
            f"the weights in {located.path} are {located.identity}, the gallery was made with "
            f"{spec.weights}; bring the original file back, or create a new gallery"
        )
    return located.path
