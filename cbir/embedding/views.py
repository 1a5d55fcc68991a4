"""Averages the embeddings of several views of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.embedding.embedder import Embedder
from cbir.embedding.vectors import unit_rows

__all__ = ["average_views", "embed_views"]

IMAGES_PER_ARRAY = 256
"""Number of images embedded at once; each may have several views."""


def embed_views(embedder: Embedder, images: Sequence[Pixels]) -> Vectors:
    """Embeds N images, each given as views (V, crop, crop, 3) uint8 → (N, D) float32, L2 = 1.

    The embeddings of an image's views, and with `flip` of their mirror images, are averaged.
    """
    empty = np.empty((0, embedder.spec.dim), np.float32)
    slices = (
        images[start : start + IMAGES_PER_ARRAY]
        for start in range(0, len(images), IMAGES_PER_ARRAY)
    )
    return np.concatenate([empty, *(_embed(embedder, part) for part in slices)])


def average_views(vectors: Vectors, views: int) -> Vectors:
    """(N · V, D) → (N, D): the mean of each image's views, scaled to L2 = 1."""
    if views == 1:
        return vectors
    return unit_rows(vectors.reshape(-1, views, vectors.shape[1]).mean(axis=1))


def _embed(embedder: Embedder, images: Sequence[Pixels]) -> Vectors:
    """N × (V, crop, crop, 3) → (N, D)."""
    if not embedder.spec.flip and all(len(image) == 1 for image in images):
        return embedder.embed([image[0] for image in images])
    views = np.stack(images)
    if embedder.spec.flip:
        views = np.concatenate([views, views[:, :, :, ::-1]], axis=1)
    return average_views(embedder.embed(list(views.reshape(-1, *views.shape[2:]))), views.shape[1])
