"""Descriptions of backbones and their weights, available without loading a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from cbir.config import Pooling, Preprocessing
from cbir.errors import BackboneError

__all__ = ["Backbone", "WeightsFile", "load_reference"]

MIN_INPUT, MAX_INPUT = 64, 1024


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One published checkpoint of a backbone, and the preprocessing it was trained for."""

    name: str
    """Name as in torchvision: `IMAGENET1K_V2`."""
    file: str
    """File name. Digits before `.pth`, as in `resnet18-f37072fd.pth`, begin its SHA-256 and are
    checked."""
    preprocessing: Preprocessing
    map_side: int
    """Height and width of the feature map at the crop of `preprocessing`; 0 if there is no map."""
    licence: str
    url: str | None = None
    package: str | None = None
    """The Python package that contains the file in its folder `models`, if any."""
    install: str | None = None
    """The command that installs `package`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network, or a classical method, that embeds images.

    The first of `poolings` and the first of `weights` are the defaults. `cbir.embedding.backbones`
    explains how to add one.
    """

    name: str
    builder: str | None = None
    """`module:function` that builds the network in torch; see `cbir.embedding.backbones`."""
    embedder: str | None = None
    """`module:class` of an Embedder made from an EmbeddingSpec alone, for a method without a
    network. A backbone has either this or a builder."""
    channels: int
    """Channels of the feature map: the embedding's dimension with every pooling but `flatten`."""
    preprocessing: Preprocessing
    poolings: tuple[Pooling, ...]
    weights: tuple[WeightsFile, ...] = ()
    """Published checkpoints; empty for a backbone without weights."""
    resizable: bool = True
    """Whether the same weights take inputs of other sizes."""
    transformer: bool = False
    """Whether it is quantised as a transformer: attention stays in float32 where necessary."""
    licence: str
    source: str
    """The paper, and where its weights come from."""

    def __post_init__(self) -> None:
        if (self.builder is None) == (self.embedder is None):
            raise ValueError(f"{self.name} needs either a builder or an embedder")

    @property
    def default_pooling(self) -> Pooling:
        return self.poolings[0]

    @property
    def dim(self) -> int:
        """Dimension of the embedding under the default pooling and weights."""
        return self.dim_of(self.default_pooling, self.weights[0] if self.weights else None)

    def dim_of(self, pooling: Pooling, weights: WeightsFile | None) -> int:
        """Dimension of the embedding: C, or C · h · w where the feature map is flattened."""
        if pooling == "flatten" and weights is not None:
            return self.channels * weights.map_side**2
        return self.channels

    def resized(self, weights: WeightsFile, input_size: int) -> WeightsFile:
        """The same weights for inputs of `input_size` pixels a side. Raises BackboneError."""
        original = weights.preprocessing
        if input_size == original.crop:
            return weights
        if not self.resizable:
            raise BackboneError(
                f"{self.name} has one input size, {original.crop}; leave "
                f"{input_size} out, or choose a convolutional backbone"
            )
        if not MIN_INPUT <= input_size <= MAX_INPUT:
            raise BackboneError(
                f"input size {input_size} is not between {MIN_INPUT} and {MAX_INPUT} pixels"
            )
        scale = input_size / original.crop
        return replace(
            weights,
            preprocessing=replace(original, crop=input_size, resize=round(original.resize * scale)),
            map_side=round(weights.map_side * scale),
        )

    def check_pooling(self, pooling: str | None) -> Pooling:
        """The pooling by this name, the default for None. Raises BackboneError."""
        if pooling is None:
            return self.default_pooling
        for allowed in self.poolings:
            if allowed == pooling:
                return allowed
        raise BackboneError(
            f"{self.name} has no pooling {pooling!r}; choose one of {', '.join(self.poolings)}"
        )


def load_reference(backbone: Backbone, reference: str) -> Any:
    """Import the function or class that a backbone names as `module:name`.

    Raises BackboneError.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BackboneError(
            f"backbone {backbone.name} names {reference!r}, which cannot be loaded: {error}"
        ) from error
