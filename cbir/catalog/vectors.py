"""Encoding of embeddings in the catalogue, and the regions in an index: which, under which ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Ids, Vectors, normalised
from cbir.config import Region

__all__ = ["REGION_ROWS", "decode", "encode", "region_layout", "region_rows"]

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


def region_layout(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Check regions and return them as a tuple. Raises ValueError for invalid ones."""
    if len(regions) >= REGION_ROWS:
        raise ValueError(f"{len(regions)} regions are too many; at most {REGION_ROWS - 1}")
    for x, y, w, h in regions:
        if min(x, y) < 0 or min(w, h) <= 0 or max(x + w, y + h) > 1:
            raise ValueError(f"region {x:g},{y:g},{w:g},{h:g} does not lie within 0,0,1,1")
    return tuple(regions)
