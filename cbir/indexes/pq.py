"""An index that scans short codes of all vectors, then compares the best candidates exactly.

The codes are product-quantised (Jégou, Douze & Schmid 2011), 4 bits per sub-vector, and compared
in processor registers (André, Kermarrec & Le Scouarnec 2015: FAISS's fast scan): a hundred thousand
in a fraction of a millisecond. The best few hundred are compared by their float16 vectors in a
file. No graph is built, and no vector is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.config import available_cores
from cbir.indexes import index_files
from cbir.indexes.flat import FlatIndex, read_rows, write_rows
from cbir.indexes.index_files import IndexManifest, Part
from cbir.indexes.row_file import RowFile

MIN_CODES = 64
MAX_SUBVECTOR = 16
"""Most dimensions that share a 4-bit code; fewer where a vector would have under 64 codes."""
REBUILD_GROWTH = 4
"""The codes are trained again when a gallery has 4 times the images they were trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PqOptions:
    """Parameters of the exact comparison of candidates, and of training and scanning codes.

    For 10 hits the defaults compare 440 of 100,000 images and 800 of a million, which finds 99 %
    and more of the true neighbours (`scripts/benchmark search`).
    """

    candidates: int = 400
    candidates_per_image: float = 1 / 2500
    candidates_per_hit: int = 20
    training_numbers: int = 20_000_000
    """Size of the training sample in numbers, 80 MB: 16,000 vectors of 1280 dimensions."""
    shard_rows: int = 200_000
    """Least number of rows per thread: fewer take less time than starting another thread."""


class PqIndex(FlatIndex):
    """`SearchStructure` with product-quantised codes of vectors in a file.

    A subclass with other `options` can be registered as another kind.
    """

    options = PqOptions()

    def __init__(self, rows: RowFile, ids: Ids, lengths: Vectors, shards: list[Any]) -> None:
        super().__init__(rows, ids, lengths)
        self._shards = shards
        """FAISS indexes over consecutive rows."""

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> PqIndex:
        index = cls(*write_rows(folder, pages, dim), [])
        index._code()
        return index

    @classmethod
    def load(cls, folder: Path, manifest: IndexManifest) -> PqIndex | None:
        rows = read_rows(folder, manifest)
        if rows is None:
            return None
        shards: list[Any] = []
        while (part := manifest.parts.get(f"shard{len(shards)}")) is not None:
            data = index_files.read_part(folder, part)
            if data is None:
                return None
            try:
                shards.append(faiss.deserialize_index(data))
            except RuntimeError:  # FAISS raises this for an unreadable file
                return None
        coded = sum(shard.ntotal for shard in shards)
        return cls(*rows, shards) if shards and coded == len(rows[1]) else None

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        candidates = self._candidates(k)
        if allowed is not None or exact or candidates >= self.count() // 2:
            return super().search(queries, k, allowed=allowed)
        near = self._near(queries, candidates)
        rows = [row[(row >= 0) & (self._ids[row] >= 0)] for row in near]
        if any(len(present) < min(k, self.count()) for present in rows):  # many are removed
            return super().search(queries, k)
        return self._compare(queries, k, [np.sort(present) for present in rows])

    def add(self, ids: Ids, vectors: Vectors) -> None:
        super().add(ids, vectors)
        # Rounded to float16 as when read back: codes and rows must agree after a restart.
        self._shards[-1].add(vectors.astype(np.float16).astype(np.float32))

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        return count > REBUILD_GROWTH * max(1, built_count)

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        parts = dict(super().save(folder, current, searching=searching))
        for number, shard in enumerate(self._shards):
            data = faiss.serialize_index(shard)
            parts[f"shard{number}"] = index_files.write_part(folder, "codes", ".faiss", data)
        return parts

    def close(self) -> None:
        super().close()
        self._shards = []
        pool = self.__dict__.pop("_pool", None)
        if pool is not None:
            pool.shutdown()

    def _code(self) -> None:
        """Train the quantiser on a sample and code every row."""
        count, dim = len(self._ids), self.dim
        sample = np.random.default_rng(0).permutation(count)[: self.options.training_numbers // dim]
        trained = faiss.IndexPQFastScan(dim, _codes(dim), 4, faiss.METRIC_INNER_PRODUCT)
        trained.pq.cp.min_points_per_centroid = 1
        # With sixteen centroids of a few dimensions, threads cost more time than they save.
        faiss.omp_set_num_threads(1)
        trained.train(self._rows.take_once(np.sort(sample)))
        faiss.omp_set_num_threads(available_cores())
        shards = max(1, min(available_cores(), count // self.options.shard_rows))
        # Copies of the trained, still empty index.
        self._shards = [faiss.clone_index(trained) for _ in range(shards)]
        bounds = np.linspace(0, count, shards + 1).astype(int)
        for start, vectors in self._rows.scan():
            for shard, low, high in zip(self._shards, bounds[:-1], bounds[1:], strict=True):
                part = vectors[max(0, low - start) : max(0, high - start)]
                if len(part):
                    shard.add(np.ascontiguousarray(part))

    def _candidates(self, k: int) -> int:
        options = self.options
        enough = options.candidates + int(options.candidates_per_image * len(self._ids))
        removed = len(self._ids) - self.count()
        return min(
            max(enough, options.candidates_per_hit * k) + min(removed, enough), len(self._ids)
        )

    def _near(self, queries: Vectors, count: int) -> Ids:
        """The rows with the best codes, up to `count` of each shard: (Q, n)."""
        if len(self._shards) == 1:
            return np.asarray(self._shards[0].search(queries, count)[1])
        starts = np.cumsum([0] + [shard.ntotal for shard in self._shards[:-1]])
        results = self._pool.map(lambda shard: shard.search(queries, count), self._shards)
        scores, rows = [], []
        for start, (score, row) in zip(starts, results, strict=True):
            scores.append(np.where(row >= 0, score, -np.inf))
            rows.append(np.where(row >= 0, row + start, -1))
        together, numbers = np.concatenate(scores, axis=1), np.concatenate(rows, axis=1)
        best = np.argpartition(-together, count - 1, axis=1)[:, :count]
        return np.take_along_axis(numbers, best, axis=1)

    def _compare(self, queries: Vectors, k: int, rows: list[Ids]) -> tuple[Vectors, Ids]:
        """The best k of each query's candidates, which are at least k."""
        similarities = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        for query, mine in enumerate(rows):
            nearest = self._nearest(queries[query, None], k, mine, self._rows.halves(mine))
            similarities[query], ids[query] = nearest[0][0], nearest[1][0]
        return similarities, ids

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(len(self._shards), "cbir-scan")


def _codes(dim: int) -> int:
    """Number of 4-bit codes for a vector of `dim` dimensions."""
    sizes = [size for size in range(1, MAX_SUBVECTOR + 1) if dim % size == 0]
    return dim // max((size for size in sizes if dim // size >= MIN_CODES), default=1)
