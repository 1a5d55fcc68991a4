"""An index that scans: short codes of all vectors first, then the best of them exactly.

The codes are product-quantised (Jégou, Douze & Schmid 2011), 4 bits per sub-vector, and compared
in processor registers (André, Kermarrec & Le Scouarnec 2015: FAISS's fast scan): a hundred thousand
in a fraction of a millisecond. The best few hundred are compared with their float16 vectors, which
lie in a file. There is no graph to build and no list to miss: an image added is a row appended, an
image removed a row struck out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from cbir.config import available_cores
from cbir.storage import index_file
from cbir.storage.index_file import IndexHeader, Part
from cbir.storage.row_file import Halves, RowFile
from cbir.storage.vectors import BuiltKind, Ids, Vectors

TRAINING_VECTORS = 32_768
MIN_CODES = 64
MAX_SUBVECTOR = 16
"""Dimensions coded by 4 bits: as many as leave 64 codes a vector, and no more than 16."""
CANDIDATES = 400
CANDIDATES_PER_IMAGE = 1 / 2500
CANDIDATES_PER_HIT = 20
"""How many are compared exactly: for 10 hits 440 of 100,000 images, 800 of a million, which finds
99 % and more of the true neighbours (`scripts/benchmark_search`)."""
SHARD_ROWS = 200_000
"""Fewer are scanned by one thread faster than two can be started."""
STRUCK_PART = 5
"""When one row in so many is struck out, or as many again were added, building anew pays."""
REBUILD_GROWTH = 4
FEW_PART = 20
"""Among such a part of all images, each is looked up; among more, all rows are read in order."""


class ScanIndex:
    """`BuiltIndex` of product-quantised codes over vectors in a file."""

    kind: BuiltKind = "pq"

    def __init__(self, rows: RowFile, ids: Ids, shards: list[Any]) -> None:
        self._rows = rows
        self._ids = ids
        """(N,) the id of each row; -1 for one that is struck out."""
        self._shards = shards
        """FAISS indexes over consecutive rows."""

    @classmethod
    def build(cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int) -> ScanIndex:
        """An index of vectors that come as pages of ids (N,) and vectors (N, D).

        Vectors go to a new file in `folder`; they stay in memory where that cannot be written.
        """
        rows = RowFile(folder / index_file.new_name(index_file.BUILDING, ".f16"), dim)
        ids = []
        for page_ids, vectors in pages:
            rows.append(vectors)
            ids.append(page_ids)
            if os.access(folder, os.W_OK):
                rows.spill()
        built = cls(rows, np.concatenate(ids) if ids else np.empty(0, np.int64), [])
        built._code()
        return built

    @classmethod
    def load(cls, folder: Path, header: IndexHeader) -> ScanIndex | None:
        """What `save` wrote; None when any of it is missing or damaged."""
        found = {}
        for name, part in header.parts.items():
            found[name] = None if name == "rows" else index_file.read_part(folder, part)
        if {"rows", "ids", "sums", "shard0"} - found.keys():
            return None
        if any(data is None for name, data in found.items() if name != "rows"):
            return None
        ids, sums = (np.array(found[name]).view(t) for name, t in (("ids", "<i8"), ("sums", "<u4")))
        stored = header.parts["rows"]
        dim = stored.size // (2 * len(ids)) if len(ids) else header.dim
        rows = RowFile.open(folder / stored.file, dim, len(ids), sums)
        if rows is None:
            return None
        shards: list[Any] = []
        while (data := found.get(f"shard{len(shards)}")) is not None:
            try:
                shards.append(faiss.deserialize_index(data))
            except RuntimeError:  # FAISS's own word for a file it cannot read
                return None
        return cls(rows, ids, shards) if sum(s.ntotal for s in shards) == len(ids) else None

    @property
    def dim(self) -> int:
        return self._rows.dim

    def search(
        self, queries: Vectors, k: int, *, among: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        candidates = self._candidates(k)
        if among is not None:
            own = np.sort(self._rows_of(among))
            if len(own) <= len(self._ids) // FEW_PART:
                return self._compare(queries, k, [own] * len(queries))
            return self._scan(queries, k, own)
        if exact or candidates >= self.count() // 2:
            return self._scan(queries, k, None)
        near = self._near(queries, candidates)
        rows = [row[(row >= 0) & (self._ids[row] >= 0)] for row in near]
        if any(len(found) < min(k, self.count()) for found in rows):  # many are struck out
            return self._scan(queries, k, None)
        return self._compare(queries, k, [np.sort(found) for found in rows])

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self._rows.append(vectors)
        self._ids = np.concatenate([self._ids, ids])
        self._forget_order()
        # As they will be read back: codes and rows must agree after a restart.
        self._shards[-1].add(vectors.astype(np.float16).astype(np.float32))

    def forget(self, ids: Ids) -> bool:
        if len(self._ids) - self.count() + len(ids) > len(self._ids) // STRUCK_PART:
            return False
        self._ids = self._ids.copy()
        self._ids[self._rows_of(ids)] = -1
        self._forget_order()
        return True

    def outgrown(self, count: int, built_count: int) -> bool:
        return count > REBUILD_GROWTH * max(1, built_count)

    def ids(self) -> Ids:
        return self._ids[self._order[1]]

    def count(self) -> int:
        return len(self._order[0])

    def vectors(self, ids: Ids) -> Vectors:
        rows = self._rows_of(ids)
        if len(rows) != len(ids):
            raise KeyError("not all of these images are in the index")
        return self._rows.take(rows)

    def save(
        self,
        folder: Path,
        current: IndexHeader | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        there = None if current is None else current.parts.get("rows")
        name = self._rows.path.name
        ours = there is not None and (there.file, there.size) == (name, self._rows.flushed_bytes)
        if not ours and not name.startswith(index_file.BUILDING):
            # Another process has appended to the file, or put another in its place.
            copied = self._rows.copy(folder / index_file.new_name("rows", ".f16"))
            with searching:
                self._rows = copied
            name = self._rows.path.name
        self._rows.flush(readers=searching)
        if name.startswith(index_file.BUILDING):
            name = index_file.new_name("rows", ".f16")
            self._rows.rename(folder / name)
        parts = {"rows": Part(name, self._rows.flushed_bytes, None)}
        own = {"ids": self._ids.astype("<i8"), "sums": self._rows.sums.astype("<u4")}
        for stem, data in own.items():
            parts[stem] = index_file.write_part(folder, stem, ".bin", data.view(np.uint8))
        for number, shard in enumerate(self._shards):
            data = faiss.serialize_index(shard)
            parts[f"shard{number}"] = index_file.write_part(folder, "codes", ".faiss", data)
        return parts

    def close(self) -> None:
        self._rows.close()
        self._shards = []

    def _code(self) -> None:
        """Train the quantiser on a sample and code every row."""
        count, dim = len(self._ids), self.dim
        sample = np.random.default_rng(0).permutation(count)[:TRAINING_VECTORS]
        trained = faiss.IndexPQFastScan(dim, _codes(dim), 4, faiss.METRIC_INNER_PRODUCT)
        trained.pq.cp.min_points_per_centroid = 1
        # Sixteen centroids of a few dimensions: threads would wait longer than they work.
        faiss.omp_set_num_threads(1)
        trained.train(self._rows.take(np.sort(sample)))
        faiss.omp_set_num_threads(available_cores())
        shards = max(1, min(available_cores(), count // SHARD_ROWS))
        # The others are copies of the first while it is empty.
        self._shards = [faiss.clone_index(trained) for _ in range(shards)]
        bounds = np.linspace(0, count, shards + 1).astype(int)
        for start, vectors in self._rows.scan():
            for shard, low, high in zip(self._shards, bounds[:-1], bounds[1:], strict=True):
                own = vectors[max(0, low - start) : max(0, high - start)]
                if len(own):
                    shard.add(np.ascontiguousarray(own))

    def _candidates(self, k: int) -> int:
        enough = CANDIDATES + int(CANDIDATES_PER_IMAGE * len(self._ids))
        struck = len(self._ids) - self.count()
        return min(max(enough, CANDIDATES_PER_HIT * k) + min(struck, enough), len(self._ids))

    def _near(self, queries: Vectors, count: int) -> Ids:
        """The rows with the best codes, in each shard as many as it may hold: (Q, n)."""
        if len(self._shards) == 1:
            return np.asarray(self._shards[0].search(queries, count)[1])
        starts = np.cumsum([0] + [shard.ntotal for shard in self._shards[:-1]])
        found = self._pool.map(lambda shard: shard.search(queries, count), self._shards)
        scores, rows = [], []
        for start, (score, row) in zip(starts, found, strict=True):
            scores.append(np.where(row >= 0, score, -np.inf))
            rows.append(np.where(row >= 0, row + start, -1))
        together, numbers = np.concatenate(scores, axis=1), np.concatenate(rows, axis=1)
        best = np.argpartition(-together, count - 1, axis=1)[:, :count]
        return np.take_along_axis(numbers, best, axis=1)

    def _compare(self, queries: Vectors, k: int, rows: list[Ids]) -> tuple[Vectors, Ids]:
        """The best k of each query's own rows, by their vectors."""
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        for place, (query, own) in enumerate(zip(queries, rows, strict=True)):
            found = self._similarities(query, own)
            best = np.argsort(-found, kind="stable")[:k]
            similarities[place, : len(best)] = found[best]
            ids[place, : len(best)] = self._ids[own[best]]
        return similarities, ids

    def _similarities(self, query: Vectors, rows: Ids) -> Vectors:
        """Of a query and rows of the file: (D,), (N,) → (N,)."""
        if len(rows) == 0:
            return np.empty(0, np.float32)
        scores, places = self._best(query[None], len(rows), self._rows.halves(rows))
        found = np.empty(len(rows), np.float32)
        found[places[0]] = scores[0]
        return found

    def _scan(self, queries: Vectors, k: int, among: Ids | None) -> tuple[Vectors, Ids]:
        """The best k of all rows, or of these (ascending), by their vectors."""
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        for start, page in self._rows.pages():
            own = self._ids[start : start + len(page)]
            kept = np.flatnonzero(own >= 0)
            if among is not None:
                low, high = np.searchsorted(among, (start, start + len(page)))
                kept = among[low:high] - start
            if not len(kept):
                continue
            found, places = self._best(queries, k, page if len(kept) == len(page) else page[kept])
            both = np.concatenate([similarities, found], axis=1)
            named = np.concatenate([ids, own[kept][places]], axis=1)
            best = np.argpartition(-both, k - 1, axis=1)[:, :k]
            similarities = np.take_along_axis(both, best, axis=1)
            ids = np.take_along_axis(named, best, axis=1)
        return similarities, ids

    def _best(self, queries: Vectors, k: int, halves: Halves) -> tuple[Vectors, Ids]:
        """The best k of these rows, or all of fewer: similarities and places, (Q, k) each."""
        # FAISS multiplies halves as they are; numpy takes five times as long to widen them.
        self._halves.reset()
        self._halves.add_sa_codes(halves.view(np.uint8))
        similarities, places = self._halves.search(queries, min(k, len(halves)))
        return similarities, places

    @cached_property
    def _order(self) -> tuple[Ids, Ids]:
        """The ids, ascending, and their rows."""
        rows = np.flatnonzero(self._ids >= 0)
        order = np.argsort(self._ids[rows], kind="stable")
        return self._ids[rows][order], rows[order]

    def _forget_order(self) -> None:
        self.__dict__.pop("_order", None)

    def _rows_of(self, ids: Ids) -> Ids:
        """The rows of those of the ids that are here, in the order of the ids."""
        known, rows = self._order
        places = np.minimum(np.searchsorted(known, ids), max(0, len(known) - 1))
        there = known[places] == ids if len(known) else np.zeros(len(ids), bool)
        return np.asarray(rows[places[there]])

    @cached_property
    def _halves(self) -> Any:
        kind = faiss.ScalarQuantizer.QT_fp16
        return faiss.IndexScalarQuantizer(self.dim, kind, faiss.METRIC_INNER_PRODUCT)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(len(self._shards), "cbir-scan")


def _codes(dim: int) -> int:
    """How many 4-bit codes a vector of `dim` dimensions is cut into."""
    sizes = [size for size in range(1, MAX_SUBVECTOR + 1) if dim % size == 0]
    return dim // max((size for size in sizes if dim // size >= MIN_CODES), default=1)
