"""Export of networks from torch to OpenVINO, once per embedding space, into the cache."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.config import EmbeddingSpec
from cbir.embedding.openvino.annotations import keep_first_depthwise_exact
from cbir.embedding.openvino.cache import cache_network, cached_network, save_network
from cbir.embedding.openvino.compiling import compile_network
from cbir.embedding.openvino.importing import import_openvino
from cbir.errors import BackboneError

if TYPE_CHECKING:
    from cbir.embedding.pytorch.network import EmbeddingNetwork

__all__ = ["export_network", "exported_network"]

log = logging.getLogger(__name__)


def exported_network(spec: EmbeddingSpec) -> Path | None:
    """The exported network of a spec, if it is in the cache and undamaged; needs no torch."""
    return cached_network(spec.network_fingerprint)


def export_network(spec: EmbeddingSpec, checkpoint: Path) -> Path:
    """Builds the network in torch, converts and caches it. Takes seconds, and imports torch.

    Several processes may export at once; one of them wins. Raises WeightsError if the checkpoint
    does not fit, BackboneError if the conversion fails, CbirError if the cache is not writable.
    """
    from cbir.embedding.pytorch.network import build_network

    log.info("exporting %s to OpenVINO; this happens once", spec.backbone)
    model = _convert(build_network(spec, checkpoint), spec)
    return cache_network(
        spec.network_fingerprint,
        lambda folder: keep_first_depthwise_exact(save_network(model, folder)),
    )


def _convert(network: EmbeddingNetwork, spec: EmbeddingSpec) -> Any:
    """An OpenVINO model for batches of any size that agrees with torch. Raises BackboneError."""
    import torch

    side = spec.preprocessing.crop
    images = _mosaics(side)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).numpy()
    reasons = []
    for convert in (_by_tracing, _by_torch_export):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer warns about torchvision's asserts
                model = convert(network, torch.zeros(1, side, side, 3, dtype=torch.uint8))
            model.reshape([-1, side, side, 3])
            if _agrees(model, images, expected):
                return model
            reasons.append("the converted network disagrees with torch")
        except Exception as error:  # converters raise many kinds; the next one may succeed
            reasons.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
    raise BackboneError(
        f"cannot convert {spec.backbone} to OpenVINO ({'; '.join(reasons)}); "
        f"run it in torch: --runtime torch"
    )


def _by_tracing(network: EmbeddingNetwork, example: Any) -> Any:
    with _root_logger_kept():
        return import_openvino().convert_model(network, example_input=example)


def _by_torch_export(network: EmbeddingNetwork, example: Any) -> Any:
    """Converts networks whose trace differs from run to run, such as vision transformers."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=1024)
    example = example.repeat(2, 1, 1, 1)  # a batch size of 1 would become a constant
    program = torch.export.export(network, (example,), dynamic_shapes={"images": {0: batch}})
    with _root_logger_kept():
        return import_openvino().convert_model(program)


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Restores the level of the root logger, which the converter raises and may leave raised."""
    root = logging.getLogger()
    level = root.level
    try:
        yield
    finally:
        root.setLevel(level)


def _mosaics(side: int) -> Any:
    """Two images of large coloured tiles, uint8 (2, side, side, 3), unlike the example batch."""
    import numpy as np

    tiles = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    rows = np.arange(side) * 8 // side
    return tiles[:, rows][:, :, rows]


def _agrees(model: Any, images: Any, expected: Any) -> bool:
    """Whether the converted network agrees with torch, at a cosine of at least 0.999.

    A correct conversion of a trained network reaches 0.999999, a wrong one is far below.
    """
    import numpy as np

    vectors = compile_network(import_openvino().Core(), model, "fp32")([images])[0]
    if vectors.shape != expected.shape:
        return False
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    return bool(((vectors * expected).sum(axis=1) >= 0.999 * norms).all())
