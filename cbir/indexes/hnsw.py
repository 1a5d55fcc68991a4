"""A graph index: hierarchical navigable small worlds (Malkov & Yashunin 2018), in FAISS.

Fast and approximate on large galleries. A graph cannot remove images and is rebuilt instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.indexes.faiss_structure import FaissStructure

__all__ = ["HnswIndex", "HnswOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HnswOptions:
    """Parameters of a graph, with FAISS's names for those of the paper."""

    neighbours: int = 32
    """Number of links of each vector, per level."""
    ef_construction: int = 80
    """Number of candidates held while the graph is built."""
    ef_search: int = 128
    """Number of candidates held while the graph is searched."""


class HnswIndex(FaissStructure):
    """`SearchStructure` with a graph over vectors in memory.

    A subclass with other `options` can be registered as another kind.
    """

    options = HnswOptions()

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> HnswIndex:
        graph = faiss.IndexHNSWFlat(dim, cls.options.neighbours, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = cls.options.ef_construction
        index = faiss.IndexIDMap2(graph)
        for ids, vectors in pages:
            index.add_with_ids(vectors, ids)
        return cls(index)

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        if allowed is not None:
            scan = self._compare_gathered if self._gathers(allowed) else self._scan_allowed
            return scan(queries, k, allowed)
        if exact:
            similarities, rows = self._storage().search(queries, k)
            return similarities, np.where(rows >= 0, self.ids()[rows], -1)
        params = faiss.SearchParametersHNSW(efSearch=max(self.options.ef_search, 2 * k))
        similarities, ids = self._index.search(queries, k, params=params)
        return similarities, ids

    def remove(self, ids: Ids) -> bool:
        return False

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        return False

    def ids(self) -> Ids:
        return np.asarray(faiss.vector_to_array(self._index.id_map), dtype=np.int64)

    def _scan_allowed(self, queries: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
        """The best k of the allowed images by a scan: a graph search fails if few are allowed."""
        stored = self.ids()
        bits = np.packbits(np.isin(stored, allowed), bitorder="little")
        selector = faiss.IDSelectorBitmap(len(stored), faiss.swig_ptr(bits))
        params = faiss.SearchParameters(sel=selector)
        similarities, rows = self._storage().search(queries, k, params=params)
        return similarities, np.where(rows >= 0, stored[rows], -1)

    def _storage(self) -> Any:
        """The vectors of the graph, as a FAISS index that scans them."""
        return faiss.downcast_index(self._index.index).storage
