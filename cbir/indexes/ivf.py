"""An inverted file (Sivic & Zisserman 2003, Jégou et al. 2011): lists of vectors around centroids.

A query is compared with the vectors of the nearest lists only: approximate, and fast on large
galleries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import faiss
import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.indexes.faiss_structure import FaissStructure

__all__ = ["IvfIndex"]

REBUILD_GROWTH = 4
"""The lists are rebuilt when a gallery has 4 times the images they were made for."""

LISTS_PER_ROOT = 4
"""Number of lists, as a multiple of the square root of the number of images."""
TRAINING_VECTORS_PER_LIST = 64
MIN_PROBES = 8
PROBED_PART = 4
"""A search probes one list in 4, at least 8: recall before speed."""


class IvfIndex(FaissStructure):
    """`SearchStructure` with inverted lists of vectors in memory."""

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> IvfIndex:
        all_pages = list(pages)
        lists = max(1, round(LISTS_PER_ROOT * math.sqrt(count)))
        quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFFlat(quantizer, dim, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = 1234
        index.cp.min_points_per_centroid = 1
        vectors = np.concatenate([page for _, page in all_pages])
        size = lists * TRAINING_VECTORS_PER_LIST
        sample = np.random.default_rng(0).permutation(len(vectors))[:size]
        index.train(vectors[np.sort(sample)])
        # A hash map lets vectors be looked up and removed by the image's id.
        index.set_direct_map_type(faiss.DirectMap.Hashtable)
        for ids, page in all_pages:
            index.add_with_ids(page, ids)
        return cls(index)

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        if allowed is not None and self._gathers(allowed):
            return self._compare_gathered(queries, k, allowed)
        lists = self._index.nlist
        probes = max(MIN_PROBES, lists // PROBED_PART)
        if allowed is not None:
            selector = faiss.IDSelectorBatch(allowed)
            params = faiss.SearchParametersIVF(sel=selector, nprobe=lists)
        else:
            params = faiss.SearchParametersIVF(nprobe=lists if exact else probes)
        similarities, ids = self._index.search(queries, k, params=params)
        return similarities, ids

    def remove(self, ids: Ids) -> bool:
        self._index.remove_ids(ids)
        return True

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        return count > REBUILD_GROWTH * max(1, built_count)

    def ids(self) -> Ids:
        lists = self._index.invlists
        parts = [
            faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy()
            for i in range(self._index.nlist)
            if lists.list_size(i)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)
