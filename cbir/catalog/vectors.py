"""Encoding of embeddings in the catalogue, and the ids of regions in an index."""

from __future__ import annotations

import numpy as np

from cbir.arrays import Ids, Vectors, normalised

__all__ = ["REGION_ROWS", "decode", "encode", "region_rows"]

REGION_ROWS = 64
"""Factor in a region's id: the id of its image times this, plus the region's number."""


def region_rows(images: Ids, count: int) -> Ids:
    """The ids of the `count` regions of each image (N,): (N · count,), in their order."""
    return (images[:, None] * REGION_ROWS + np.arange(1, count + 1)).reshape(-1)


def encode(vectors: Vectors) -> list[bytes]:
    """Encode embeddings for the catalogue: (N, D) float32 → N × D little-endian float16."""
    return [half.tobytes() for half in vectors.astype("<f2")]


def decode(blobs: list[bytes], dim: int) -> Vectors:
    """Decode embeddings into unit vectors: N blobs → (N, D) float32."""
    halves = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(blobs), dim)
    # Rounding to half precision moves the norm by up to 2^-11: restore it.
    return normalised(halves.astype(np.float32))
