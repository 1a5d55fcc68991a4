"""What cbir knows about a network without loading it: a frozen description per backbone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from cbir.config import Pooling, Preprocessing
from cbir.errors import BackboneError

__all__ = ["Backbone", "Family", "WeightsFile"]

Family = Literal["torchvision", "vit", "efficientnet_lite", "tiny_image"]
"""Which code builds the network: see `networks.py`, and `tiny_image.py` for the last."""


MIN_INPUT, MAX_INPUT = 64, 1024


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One published checkpoint of a backbone, and the preprocessing it was trained for."""

    name: str
    """How torchvision names it, as `IMAGENET1K_V2`."""
    file: str
    """Its file name, which carries the first digits of its SHA-256."""
    preprocessing: Preprocessing
    map_side: int
    """Height and width of the feature map at the crop of `preprocessing`; 0 if there is no map."""
    licence: str
    url: str | None = None
    package: str | None = None
    """The Python package that carries the file in its folder `models`, if one does."""
    install: str | None = None
    """The command that installs `package`."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network that embeds images; the first of `poolings` and of `weights` are the defaults."""

    name: str
    family: Family
    channels: int
    """Channels of the feature map, and so the dimension of every pooling but `flatten`."""
    preprocessing: Preprocessing
    poolings: tuple[Pooling, ...]
    weights: tuple[WeightsFile, ...]
    """Empty for a backbone that needs none."""
    licence: str
    source: str
    """The paper, and where its weights come from."""

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
        """The same weights for inputs of that side, in pixels. Raises BackboneError."""
        if input_size == weights.preprocessing.crop:
            return weights
        if self.family == "vit":
            raise BackboneError(
                f"{self.name} knows one input size, {weights.preprocessing.crop}; leave "
                f"{input_size} out, or choose a convolutional backbone"
            )
        if not MIN_INPUT <= input_size <= MAX_INPUT:
            raise BackboneError(
                f"input size {input_size} is not between {MIN_INPUT} and {MAX_INPUT} pixels"
            )
        given = weights.preprocessing
        scale = input_size / given.crop
        return replace(
            weights,
            preprocessing=replace(given, crop=input_size, resize=round(given.resize * scale)),
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
