"""Several views of an image, one embedding: the mean of what the network makes of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.embedding.embedder import Embedder
from cbir.embedding.vectors import Pixels, Vectors, unit_rows

__all__ = ["embed_views"]


def embed_views(embedder: Embedder, images: Sequence[Pixels]) -> Vectors:
    """N images as their views, each (V, crop, crop, 3) uint8 → (N, D) float32, L2 = 1.

    The views of an image, and with `flip` their mirror images, are embedded and averaged.
    """
    if not images:
        return np.empty((0, embedder.spec.dim), np.float32)
    seen = np.stack(images)
    if embedder.spec.flip:
        seen = np.concatenate([seen, seen[:, :, :, ::-1]], axis=1)
    count, views = seen.shape[:2]
    vectors = embedder.embed(list(seen.reshape(-1, *seen.shape[2:])))
    if views == 1:
        return vectors
    return unit_rows(vectors.reshape(count, views, -1).mean(axis=1))
