"""Indexes that are FAISS's own: HNSW and inverted files.

Both store unit vectors under the images' ids and compare by inner product, which is the
cosine. Approximate kinds trade recall for time on large galleries (Malkov & Yashunin 2018 for
HNSW; Sivic & Zisserman 2003, Jégou et al. 2011 for inverted files).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.indexes import index_files
from cbir.indexes.index_files import IndexManifest, Part
from cbir.indexes.protocol import BuiltKind

log = logging.getLogger(__name__)

REBUILD_GROWTH = 4
"""An inverted file whose gallery grew this many times needs new lists."""

FEW_IMAGES = 2000
FEW_PART = 50
"""Up to so many images, or such a part of all, are compared one by one when a filter allows no
others: gathering them costs less than scanning past the rest."""

HNSW_NEIGHBOURS = 32
HNSW_EF_CONSTRUCTION = 80
HNSW_EF_SEARCH = 128
TRAINING_VECTORS_PER_LIST = 64


class FaissStructure:
    """`SearchStructure` of a FAISS index that maps ids."""

    def __init__(self, index: Any, kind: BuiltKind) -> None:
        self._index = index
        self._kind = kind

    @classmethod
    def build(
        cls, kind: BuiltKind, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> FaissStructure:
        """An index over `count` images that come as pages of ids (N,) and vectors (N, D)."""
        index = _build_hnsw(pages, dim) if kind == "hnsw" else _build_ivf(pages, dim, count)
        return cls(index, kind)

    @classmethod
    def load(cls, folder: Path, header: IndexManifest) -> FaissStructure | None:
        """What `save` wrote; None when it is missing or damaged."""
        part = header.parts.get("index")
        data = None if part is None else index_files.read_part(folder, part)
        if data is None:
            return None
        try:
            return cls(faiss.deserialize_index(data), cast(BuiltKind, header.kind))
        except RuntimeError as error:  # FAISS's own word for a file it cannot read
            log.info("%s: unreadable vector index (%s)", folder, error)
            return None

    @property
    def kind(self) -> BuiltKind:
        return self._kind

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        return _search(self._index, queries, k, allowed=allowed, exact=exact)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self._index.add_with_ids(vectors, ids)

    def forget(self, ids: Ids) -> bool:
        if self._kind == "hnsw":  # a graph cannot, and must be built again
            return False
        self._index.remove_ids(ids)
        return True

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        return self._kind == "ivf" and count > REBUILD_GROWTH * max(1, built_count)

    def ids(self) -> Ids:
        return _stored_ids(self._index)

    def count(self) -> int:
        return int(self._index.ntotal)

    def vectors(self, ids: Ids) -> Vectors:
        try:
            return np.asarray(self._index.reconstruct_batch(ids), dtype=np.float32)
        except RuntimeError as error:
            raise KeyError("not all of these images are in the index") from error

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        data = faiss.serialize_index(self._index)
        return {"index": index_files.write_part(folder, "index", ".faiss", data)}

    def close(self) -> None:
        self._index = None


def _build_hnsw(pages: Iterable[tuple[Ids, Vectors]], dim: int) -> Any:
    graph = faiss.IndexHNSWFlat(dim, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
    index = faiss.IndexIDMap2(graph)
    for ids, vectors in pages:
        index.add_with_ids(vectors, ids)
    return index


def _build_ivf(pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int) -> Any:
    all_pages = list(pages)
    lists = max(1, round(4 * math.sqrt(count)))
    quantizer = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFFlat(quantizer, dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 1234
    index.cp.min_points_per_centroid = 1
    vectors = np.concatenate([page for _, page in all_pages])
    sample = np.random.default_rng(0).permutation(len(vectors))[: lists * TRAINING_VECTORS_PER_LIST]
    index.train(vectors[np.sort(sample)])
    # By hash: vectors can be looked up and taken out by the image's id.
    index.set_direct_map_type(faiss.DirectMap.Hashtable)
    for ids, page in all_pages:
        index.add_with_ids(page, ids)
    return index


def _search(
    index: Any, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
) -> tuple[Vectors, Ids]:
    """(Q, D) → similarities (Q, k) and ids (Q, k), -1 where there are fewer.

    `allowed`, ascending, are the only ids that may be found; the search is exact then.
    """
    if allowed is not None:
        few = len(allowed) <= max(FEW_IMAGES, index.ntotal // FEW_PART)
        scan = _scan_few if few else _scan_selected
        return scan(index, queries, k, allowed)
    if isinstance(index, faiss.IndexIDMap2):
        if exact:
            similarities, rows = _graph(index).storage.search(queries, k)
            ids = faiss.vector_to_array(index.id_map)
            return similarities, np.where(rows >= 0, ids[rows], -1)
        params = faiss.SearchParametersHNSW(efSearch=max(HNSW_EF_SEARCH, 2 * k))
    else:
        # A quarter of the lists at the square-root rule above: recall first, speed second.
        probes = index.nlist if exact else max(8, index.nlist // 4)
        params = faiss.SearchParametersIVF(nprobe=probes)
    similarities, ids = index.search(queries, k, params=params)
    return similarities, ids


def _scan_few(index: Any, queries: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
    there, vectors = _gather(index, allowed)
    similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
    ids = np.full((len(queries), k), -1, dtype=np.int64)
    if len(there):
        found = queries @ vectors.T
        best = np.argsort(-found, axis=1, kind="stable")[:, :k]
        similarities[:, : best.shape[1]] = np.take_along_axis(found, best, axis=1)
        ids[:, : best.shape[1]] = there[best]
    return similarities, ids


def _gather(index: Any, allowed: Ids) -> tuple[Ids, Vectors]:
    """Those of the ids that the index holds, with their vectors."""
    try:
        return allowed, index.reconstruct_batch(allowed)
    except RuntimeError:  # some are not in the index, which is rare and dear to find out
        there = allowed[np.isin(allowed, _stored_ids(index))]
        return there, index.reconstruct_batch(there)


def _scan_selected(index: Any, queries: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
    if isinstance(index, faiss.IndexIVF):
        selector = faiss.IDSelectorBatch(allowed)
        params = faiss.SearchParametersIVF(sel=selector, nprobe=index.nlist)
        similarities, ids = index.search(queries, k, params=params)
        return similarities, ids
    # A graph loses its way among images that do not count: its vectors are scanned instead.
    stored = _stored_ids(index)
    bits = np.packbits(np.isin(stored, allowed), bitorder="little")
    selector = faiss.IDSelectorBitmap(len(stored), faiss.swig_ptr(bits))
    params = faiss.SearchParameters(sel=selector)
    similarities, rows = _graph(index).storage.search(queries, k, params=params)
    return similarities, np.where(rows >= 0, stored[rows], -1)


def _graph(index: Any) -> Any:
    return faiss.downcast_index(index.index)


def _stored_ids(index: Any) -> Ids:
    """All ids in an index, in no particular order."""
    if isinstance(index, faiss.IndexIDMap2):
        return np.asarray(faiss.vector_to_array(index.id_map), dtype=np.int64)
    lists = index.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy()
        for i in range(index.nlist)
        if lists.list_size(i)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
