"""Quantisation of exported networks to int8, calibrated on images of the gallery.

Post-training quantisation by NNCF (Jacob et al. 2018 describe the arithmetic): the ranges of
activations are measured on some hundred images. The quantised network is cached beside the exported
one, named by the digest of the calibration images.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cbir.arrays import Pixels
from cbir.config import EmbeddingSpec
from cbir.embedding.openvino.cache import cache_network, cached_network, save_network
from cbir.embedding.openvino.compiling import compile_network
from cbir.embedding.openvino.importing import import_openvino
from cbir.embedding.registry import find_backbone
from cbir.embedding.vectors import unit_rows
from cbir.errors import BackboneError, MissingExtraError

__all__ = ["CALIBRATION_IMAGES", "MIN_CALIBRATION_IMAGES", "quantise_network", "quantised_network"]

log = logging.getLogger(__name__)

CALIBRATION_IMAGES = 128
MIN_CALIBRATION_IMAGES = 32
FLOAT_LAYERS = 3
"""Number of first convolutions that stay in float32 in a network with depthwise ones. The mean
cosine to float32 over 1,000 photographs rises from 0.989 to 0.995 (efficientnet_lite0), the worst
from 0.917 to 0.980, at no cost in speed. In other networks all are quantised: their first
convolutions add up many products of 8-bit pixels, and resnet50 becomes 6 % faster."""
MIN_COSINE = 0.95
"""Least mean cosine to float32 over the calibration images; below it int8 is refused."""


def quantised_network(spec: EmbeddingSpec, calibration: str) -> Path | None:
    """The network quantised with that calibration, if it is in the cache; needs no NNCF."""
    return cached_network(_name(spec, calibration))


def quantise_network(
    spec: EmbeddingSpec,
    network: Path,
    images: Sequence[Pixels],
    *,
    min_cosine: float = MIN_COSINE,
) -> str:
    """Quantises an exported network on images (crop, crop, 3); returns the calibration's digest.

    Takes a minute on two cores for a large network, and imports torch. Raises MissingExtraError
    without NNCF, BackboneError when there are too few images or when the mean cosine to float32
    falls below `min_cosine`.
    """
    if len(images) < MIN_CALIBRATION_IMAGES:
        raise BackboneError(
            f"int8 needs {MIN_CALIBRATION_IMAGES} images to calibrate on, and there are "
            f"{len(images)} that can be read; leave --precision int8 out"
        )
    calibration = _digest(images)
    if quantised_network(spec, calibration) is not None:
        return calibration
    log.info("quantising %s on %d images; this happens once", spec.backbone, len(images))
    core = import_openvino().Core()
    model = _quantise(core.read_model(network), spec, images)
    cosine = _mean_cosine(core, network, model, images)
    if not cosine >= min_cosine:
        raise BackboneError(
            f"{spec.backbone} is not accurate in int8: the mean cosine of its embeddings to those "
            f"in fp32 is only {cosine:.2f}; leave --precision int8 out"
        )
    cache_network(_name(spec, calibration), lambda folder: save_network(model, folder))
    return calibration


def _name(spec: EmbeddingSpec, calibration: str) -> str:
    return f"{spec.network_fingerprint}-int8-{calibration}"


def _digest(images: Sequence[Pixels]) -> str:
    digest = hashlib.sha256()
    for image in images:
        digest.update(image.data)
    return digest.hexdigest()[:16]


def _quantise(model: Any, spec: EmbeddingSpec, images: Sequence[Pixels]) -> Any:
    try:
        import_openvino()  # first: it disables NNCF's telemetry, too
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # CUDA is not used
        import nncf
        from nncf.quantization.advanced_parameters import (
            AdvancedQuantizationParameters,
            OverflowFix,
        )
    except ImportError as error:
        raise MissingExtraError(
            "int8 needs nncf, which is not installed; pip install 'cbir[int8]'"
        ) from error
    # NNCF's own set_log_level would silence handlers that the application has added, too.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    convolutions = [op for op in model.get_ordered_ops() if "Convolution" in op.get_type_name()]
    grouped = any(op.get_type_name() == "GroupConvolution" for op in convolutions)
    first = [op.get_friendly_name() for op in convolutions[:FLOAT_LAYERS]] if grouped else []
    transformer = find_backbone(spec.backbone).transformer
    with contextlib.redirect_stdout(io.StringIO()):  # it prints progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(list(images), lambda image: image[None]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(names=first),
            # 7-bit weights: without VNNI, pairs of products are added in 16 bits, which 8-bit
            # weights overflow.
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        )


def _mean_cosine(core: Any, network: Path, quantised: Any, images: Sequence[Pixels]) -> float:
    """The mean cosine between both networks' embeddings, over the images."""
    import numpy as np

    exact, coarse = (
        unit_rows(np.concatenate([compiled([image[None]])[0] for image in images]))
        for compiled in (
            compile_network(core, network, "fp32"),
            compile_network(core, quantised, "int8"),
        )
    )
    return float((exact * coarse).sum(axis=1).mean())
