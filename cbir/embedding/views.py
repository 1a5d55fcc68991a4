"""Averages the embeddings of several views of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.embedding.embedder import Embedder
from cbir.embedding.vectors import unit_rows

__all__ = ["embed_views"]

IMAGES_PER_ARRAY = 64
"""Number of images copied into one array; each may have ten regions of several views."""


def embed_views(embedder: Embedder, images: Sequence[Pixels]) -> Vectors:
    """Embeds N images, each given as views (V, crop, crop, 3) uint8 → (N, D) float32, L2 = 1.

    The embeddings of an image's views, and with `flip` of their mirror images, are averaged.
    """
    empty = np.empty((0, embedder.spec.dim), np.float32)
    slices = (
        images[start : start + IMAGES_PER_ARRAY]
        for start in range(0, len(images), IMAGES_PER_ARRAY)
    )
    return np.concatenate([empty, *(_embed(embedder, np.stack(part)) for part in slices)])


def _embed(embedder: Embedder, images: Pixels) -> Vectors:
    """(N, V, crop, crop, 3) → (N, D)."""
    if embedder.spec.flip:
        images = np.concatenate([images, images[:, :, :, ::-1]], axis=1)
    count, views = images.shape[:2]
    vectors = embedder.embed(list(images.reshape(-1, *images.shape[2:])))
    if views == 1:
        return vectors
    return unit_rows(vectors.reshape(count, views, -1).mean(axis=1))
