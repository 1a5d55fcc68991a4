"""How the catalogue keeps embeddings, and under which ids regions are indexed."""

from __future__ import annotations

import numpy as np

from cbir.arrays import Ids, Vectors, normalised

__all__ = ["REGION_ROWS", "decode", "encode", "region_rows"]

REGION_ROWS = 64
"""A region is indexed under its image's id times this, plus its own number."""


def region_rows(images: Ids, count: int) -> Ids:
    """Where the `count` regions of each image (N,) are indexed: (N · count,), in their order."""
    return (images[:, None] * REGION_ROWS + np.arange(1, count + 1)).reshape(-1)


def encode(vectors: Vectors) -> list[bytes]:
    """Embeddings as the catalogue keeps them: (N, D) float32 → N × D little-endian float16."""
    return [half.tobytes() for half in vectors.astype("<f2")]


def decode(blobs: list[bytes], dim: int) -> Vectors:
    """What `encode` wrote, as unit vectors: N blobs → (N, D) float32."""
    halves = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(blobs), dim)
    # Rounding to half precision moves the norm by up to 2^-11: restore it.
    return normalised(halves.astype(np.float32))
