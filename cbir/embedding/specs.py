"""Resolves options to an EmbeddingSpec, the embedding space of a new gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cbir.config import DEFAULT_BACKBONE, EmbeddingSpec, View
from cbir.embedding.backbone import Backbone, WeightsFile
from cbir.embedding.registry import find_backbone
from cbir.embedding.weights import locate_weights
from cbir.errors import BackboneError

__all__ = ["resolve_spec"]


def resolve_spec(
    backbone: str = DEFAULT_BACKBONE,
    *,
    pooling: str | None = None,
    weights: str | None = None,
    input_size: int | None = None,
    views: Sequence[View] = ("crop",),
    flip: bool = False,
) -> tuple[EmbeddingSpec, str | None]:
    """The EmbeddingSpec of a backbone with options, and the origin of its weights.

    `weights` is a name such as `IMAGENET1K_V1` or a checkpoint file, by default the backbone's
    best; a file takes the preprocessing of the default weights. `input_size` is the side of the
    network's input in pixels, by default the one the weights were trained with; `views` and `flip`
    are those of `EmbeddingSpec`. The second value is the weights name or the file's absolute path,
    None for a backbone without weights. Raises BackboneError, or WeightsError where
    the weights are missing, damaged or cannot be downloaded.
    """
    record = find_backbone(backbone)
    chosen = record.check_pooling(pooling)
    if not record.weights:
        if weights is not None:
            raise BackboneError(f"{record.name} has no weights to choose; leave {weights!r} out")
        if input_size not in (None, record.preprocessing.crop):
            raise BackboneError(f"{record.name} has one input size; leave {input_size} out")
        spec = EmbeddingSpec(record.name, "none", chosen, record.channels, record.preprocessing)
        return replace(spec, views=tuple(views), flip=flip), None
    located = locate_weights(record, weights)
    variant = located.variant
    if input_size is not None:
        variant = record.resized(variant, input_size)
        if chosen == "flatten" and variant is not located.variant:
            variant = _with_measured_map(record, variant)
    spec = EmbeddingSpec(
        backbone=record.name,
        weights=located.identity,
        pooling=chosen,
        dim=record.dim_of(chosen, variant),
        preprocessing=variant.preprocessing,
        views=tuple(views),
        flip=flip,
    )
    return spec, located.label


def _with_measured_map(backbone: Backbone, variant: WeightsFile) -> WeightsFile:
    """A resized variant with the actual side of its feature map, measured by a run."""
    from cbir.embedding.pytorch.architecture import map_side

    return replace(variant, map_side=map_side(backbone, variant.preprocessing.crop))
