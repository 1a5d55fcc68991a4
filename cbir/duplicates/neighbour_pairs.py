"""Pairs of nearest neighbours by embedding, which are candidates for copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.duplicates.thumbnails import load_embeddings
from cbir.gallery import Gallery
from cbir.indexes.neighbours import all_nearest
from cbir.types import StageProgress

__all__ = ["NeighbourPairs", "nearest_pairs"]

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourPairs:
    """Pairs of nearest neighbours by embedding, and the similarity of any two images."""

    ids: Ids
    """(N,) ascending."""
    vectors: Vectors
    """(N, D)"""
    pairs: Pairs
    """(P, 2) of ids, the smaller first, the most similar pair first."""
    similarities: Vectors
    """(P,)"""

    def similarity(self, first: int, second: int) -> float:
        a, b = np.searchsorted(self.ids, (first, second))
        return float(self.vectors[a] @ self.vectors[b])


def nearest_pairs(
    gallery: Gallery, ids: Ids, count: int, progress: StageProgress
) -> NeighbourPairs:
    """Each image with its `count` nearest neighbours by embedding."""
    vectors = load_embeddings(gallery, ids)
    codes, similarities = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start, rows, products in all_nearest(vectors, count):
        query = np.broadcast_to(np.arange(start, start + len(rows))[:, None], rows.shape)
        first, second = np.minimum(query, rows), np.maximum(query, rows)
        codes.append((first * len(ids) + second).ravel())
        similarities.append(products.ravel())
        progress("comparing", start + len(rows), len(ids))
    unique, where = np.unique(np.concatenate(codes), return_index=True)
    distinct = np.concatenate(similarities)[where]
    order = np.argsort(-distinct, kind="stable")
    rows = np.stack(np.divmod(unique[order], max(1, len(ids))), axis=1)
    pairs = ids[rows] if len(ids) else rows
    return NeighbourPairs(ids, vectors, pairs, distinct[order])
