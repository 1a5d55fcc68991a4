"""The vectors of candidates, as the gallery's index compares them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.gallery import Gallery
from cbir.storage.vectors import Vectors, normalised
from cbir.types import Hit

__all__ = ["vectors_of"]


def vectors_of(gallery: Gallery, hits: Sequence[Hit]) -> tuple[list[Hit], Vectors]:
    """Hits and their unit vectors (N, D), without images that have left the gallery meanwhile."""
    index, kept = gallery.vectors(), list(hits)
    ids = np.array([hit.image.id for hit in kept], dtype=np.int64)
    try:
        return kept, normalised(index.vectors(ids))
    except KeyError:
        there = np.isin(ids, index.ids())
        kept = [hit for hit, present in zip(kept, there, strict=True) if present]
        return kept, normalised(index.vectors(ids[there]))
