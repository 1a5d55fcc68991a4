"""Vectors of candidates, as the gallery's index compares them (whitened, if the gallery is)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Vectors, normalised
from cbir.gallery import Gallery
from cbir.types import Hit

__all__ = ["vectors_of"]


def vectors_of(gallery: Gallery, hits: Sequence[Hit]) -> tuple[list[Hit], Vectors]:
    """Hits and their unit vectors (N, D), without images removed from the gallery meanwhile.

    The vector of a hit by one of its regions is that region's.
    """
    ids = np.array([hit.image.id for hit in hits], dtype=np.int64)
    layout = gallery.config.regions
    numbers = [0 if hit.region is None else 1 + layout.index(hit.region) for hit in hits]
    try:
        return list(hits), normalised(gallery.index().vectors(ids, np.array(numbers, np.int64)))
    except KeyError:
        index = gallery.image_index()
        present = np.isin(ids, index.ids())
        remaining = [hit for hit, is_present in zip(hits, present, strict=True) if is_present]
        return remaining, normalised(index.vectors(ids[present]))
