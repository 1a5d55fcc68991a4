"""Several views of an image, one embedding: the mean of what the network makes of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.embedding.embedder import Embedder
from cbir.embedding.vectors import unit_rows

__all__ = ["embed_views"]

AT_ONCE = 64
"""Images copied into one array; a chunk of them may have ten regions each."""


def embed_views(embedder: Embedder, images: Sequence[Pixels]) -> Vectors:
    """N images as their views, each (V, crop, crop, 3) uint8 → (N, D) float32, L2 = 1.

    The views of an image, and with `flip` their mirror images, are embedded and averaged.
    """
    empty = np.empty((0, embedder.spec.dim), np.float32)
    slices = (images[start : start + AT_ONCE] for start in range(0, len(images), AT_ONCE))
    return np.concatenate([empty, *(_embed(embedder, np.stack(part)) for part in slices)])


def _embed(embedder: Embedder, seen: Pixels) -> Vectors:
    """(N, V, crop, crop, 3) → (N, D)."""
    if embedder.spec.flip:
        seen = np.concatenate([seen, seen[:, :, :, ::-1]], axis=1)
    count, views = seen.shape[:2]
    vectors = embedder.embed(list(seen.reshape(-1, *seen.shape[2:])))
    if views == 1:
        return vectors
    return unit_rows(vectors.reshape(count, views, -1).mean(axis=1))
