"""The classical baseline: the image scaled down to 32 × 32 pixels.

A. Torralba, R. Fergus, W. T. Freeman, "80 million tiny images", IEEE TPAMI 2008: images of 32 × 32
colour pixels, with zero mean and unit norm, are compared by their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec, Preprocessing
from cbir.embedding.backbone import Backbone
from cbir.embedding.vectors import stack_images, unit_rows

__all__ = ["TINY_IMAGE", "TinyImageEmbedder"]

TINY_IMAGE = Backbone(
    name="tiny_image",
    embedder="cbir.embedding.backbones.tiny_image:TinyImageEmbedder",
    channels=32 * 32 * 3,
    preprocessing=Preprocessing(
        resize=32, crop=32, interpolation="bicubic", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    ),
    poolings=("none",),
    licence="none needed",
    source="Torralba, Fergus and Freeman 2008, 80 million tiny images",
)


class TinyImageEmbedder:
    """Embeds without a network or weights: deterministic, and as fast as numpy."""

    device = "cpu"
    parallelism = 1

    def __init__(self, spec: EmbeddingSpec) -> None:
        self.spec = spec

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (32, 32, 3) → (N, 3072) float32, L2 = 1: pixels minus their mean.

        A uniform grey image is zero after centring and becomes the constant vector, which is
        orthogonal to every centred one: similarity 1 to other uniform images, 0 to the rest.
        """
        pixels = stack_images(images, self.spec.preprocessing.crop)
        rows = pixels.reshape(len(pixels), self.spec.dim).astype(np.float32)
        return unit_rows(rows - rows.mean(axis=1, keepdims=True))

    def describe(self) -> str:
        return "numpy fp32"
