"""The vectors of candidates, as the gallery's index compares them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Vectors, normalised
from cbir.gallery import Gallery
from cbir.types import Hit

__all__ = ["vectors_of"]


def vectors_of(gallery: Gallery, hits: Sequence[Hit]) -> tuple[list[Hit], Vectors]:
    """Hits and their unit vectors (N, D), without images that have left the gallery meanwhile.

    Of a hit by one of its regions, that region's.
    """
    kept = list(hits)
    ids = np.array([hit.image.id for hit in kept], dtype=np.int64)
    layout = gallery.config.regions
    numbers = [0 if hit.region is None else 1 + layout.index(hit.region) for hit in kept]
    try:
        return kept, normalised(gallery.index().vectors(ids, np.array(numbers, dtype=np.int64)))
    except KeyError:
        index = gallery.image_index()
        there = np.isin(ids, index.ids())
        kept = [hit for hit, present in zip(kept, there, strict=True) if present]
        return kept, normalised(index.vectors(ids[there]))
