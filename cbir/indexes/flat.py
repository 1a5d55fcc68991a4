"""An exact index: a query is compared with every vector, in a file of float16 rows.

Adding an image appends a row, removing one marks its row as removed. Opening maps the file and
reads almost nothing of it; rows searched once stay in the system's cache.

Rounding to float16 changes the length of a vector, and so a similarity, by up to 2^-11. The lengths
are stored as float32: the similarities of the best candidates are divided by them and sorted again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.indexes import index_files
from cbir.indexes.half_scan import Halves, nearest_rows
from cbir.indexes.index_files import IndexManifest, Part
from cbir.indexes.row_file import RowFile

__all__ = ["FlatIndex", "read_rows", "write_rows"]

REMOVED_PART = 5
"""The index is rebuilt when one row in 5 is removed."""
LOOKUP_PART = 20
"""If a filter allows at most one row in 20, these are looked up; else all are read in order."""
EXTRA_CANDIDATES = 16
"""Number of extra candidates rescored with exact lengths."""


class FlatIndex:
    """`SearchStructure` that scans vectors in a file."""

    def __init__(self, rows: RowFile, ids: Ids, lengths: Vectors) -> None:
        self._rows = rows
        self._ids = ids
        """(N,) id of each row; -1 for a removed row."""
        self._lengths = lengths
        """(N,) lengths of the stored rows."""

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> FlatIndex:
        return cls(*write_rows(folder, pages, dim))

    @classmethod
    def load(cls, folder: Path, manifest: IndexManifest) -> FlatIndex | None:
        rows = read_rows(folder, manifest)
        return None if rows is None else cls(*rows)

    @property
    def dim(self) -> int:
        return self._rows.dim

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        if allowed is None:
            return self._scan(queries, k)
        rows = np.sort(self._rows_of(allowed))
        if len(rows) > len(self._ids) // LOOKUP_PART:
            return self._scan(queries, k, rows)
        return _padded(*self._nearest(queries, k, rows, self._rows.halves(rows)), k)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        halves = vectors.astype(np.float16)
        self._rows.append(halves)
        self._ids = np.concatenate([self._ids, ids])
        self._lengths = np.concatenate([self._lengths, _lengths(halves)])
        self._clear_order()

    def remove(self, ids: Ids) -> bool:
        if len(self._ids) - self.count() + len(ids) > len(self._ids) // REMOVED_PART:
            return False
        self._ids = self._ids.copy()
        self._ids[self._rows_of(ids)] = -1
        self._clear_order()
        return True

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        return False

    def ids(self) -> Ids:
        return self._ids[self._order[1]]

    def count(self) -> int:
        return len(self._order[0])

    def vectors(self, ids: Ids) -> Vectors:
        rows = self._rows_of(ids)
        if len(rows) != len(ids):
            raise KeyError("not all of these images are in the index")
        return self._rows.take(rows) / self._lengths[rows, None]

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        saved = None if current is None else current.parts.get("rows")
        name = self._rows.path.name
        mine = saved is not None and (saved.file, saved.size) == (name, self._rows.flushed_bytes)
        if not mine and not name.startswith(index_files.BUILDING):
            # Another process has appended to the file or replaced it.
            copied = self._rows.copy(folder / index_files.new_name("rows", ".f16"))
            with searching:
                self._rows = copied
            name = self._rows.path.name
        self._rows.flush(readers=searching)
        if name.startswith(index_files.BUILDING):
            name = index_files.new_name("rows", ".f16")
            self._rows.rename(folder / name, readers=searching)
        parts = {"rows": Part(name, self._rows.flushed_bytes, None)}
        arrays = {
            "ids": self._ids.astype("<i8"),
            "lengths": self._lengths.astype("<f4"),
            "sums": self._rows.sums.astype("<u4"),
        }
        for stem, data in arrays.items():
            parts[stem] = index_files.write_part(folder, stem, ".bin", data.view(np.uint8))
        return parts

    def close(self) -> None:
        self._rows.close()

    def _scan(self, queries: Vectors, k: int, allowed: Ids | None = None) -> tuple[Vectors, Ids]:
        """The best k of all rows, or of the `allowed` ids (ascending)."""
        similarities = np.empty((len(queries), 0), np.float32)
        ids = np.empty((len(queries), 0), np.int64)
        for start, page in self._rows.pages():
            mask = self._ids[start : start + len(page)] >= 0
            if allowed is not None:
                low, high = np.searchsorted(allowed, (start, start + len(page)))
                mask = np.zeros(len(page), bool)
                mask[allowed[low:high] - start] = True
            if not mask.any():
                continue
            numbers = np.arange(start, start + len(page))
            nearest = self._nearest(queries, k, numbers, page, None if mask.all() else mask)
            similarities = np.concatenate([similarities, nearest[0]], axis=1)
            ids = np.concatenate([ids, nearest[1]], axis=1)
            best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
            similarities = np.take_along_axis(similarities, best, axis=1)
            ids = np.take_along_axis(ids, best, axis=1)
        return _padded(similarities, ids, k)

    def _nearest(
        self,
        queries: Vectors,
        k: int,
        numbers: Ids,
        rows: Halves,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Vectors, Ids]:
        """The best k of rows (n, D) with row numbers (n,): similarities and ids, (Q, k) each."""
        products, places = nearest_rows(queries, k + EXTRA_CANDIDATES, rows, mask)
        candidates = numbers[places]
        similarities = products / self._lengths[candidates]
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        ids = self._ids[np.take_along_axis(candidates, best, axis=1)]
        return np.take_along_axis(similarities, best, axis=1), ids

    @cached_property
    def _order(self) -> tuple[Ids, Ids]:
        """The ids, ascending, and the row number of each."""
        rows = np.flatnonzero(self._ids >= 0)
        order = np.argsort(self._ids[rows], kind="stable")
        return self._ids[rows][order], rows[order]

    def _clear_order(self) -> None:
        self.__dict__.pop("_order", None)

    def _rows_of(self, ids: Ids) -> Ids:
        """The rows of those ids that are in the index, in the order of the ids."""
        mine, rows = self._order
        places = np.minimum(np.searchsorted(mine, ids), max(0, len(mine) - 1))
        present = mine[places] == ids if len(mine) else np.zeros(len(ids), bool)
        return np.asarray(rows[places[present]])


def write_rows(
    folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int
) -> tuple[RowFile, Ids, Vectors]:
    """Write pages of ids (N,) and vectors (N, D) to a new file in `folder`: rows, ids, lengths.

    The rows stay in memory where no file can be written.
    """
    rows = RowFile(folder / index_files.new_name(index_files.BUILDING, ".f16"), dim)
    ids, lengths = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    writable = folder.is_dir() and os.access(folder, os.W_OK)
    for page_ids, vectors in pages:
        halves = vectors.astype(np.float16)
        rows.append(halves)
        ids.append(page_ids)
        lengths.append(_lengths(halves))
        try:
            if writable:
                rows.spill()
        except OSError:  # for example a full disk: rows in memory can be searched as well
            writable = False
    return rows, np.concatenate(ids), np.concatenate(lengths)


def read_rows(folder: Path, manifest: IndexManifest) -> tuple[RowFile, Ids, Vectors] | None:
    """Read the rows, ids and lengths that `FlatIndex.save` wrote; None where a file is damaged."""
    if {"rows", "ids", "lengths", "sums"} - manifest.parts.keys():
        return None
    arrays = []
    for name, dtype in (("ids", "<i8"), ("lengths", "<f4"), ("sums", "<u4")):
        data = index_files.read_part(folder, manifest.parts[name])
        if data is None:
            return None
        arrays.append(np.array(data).view(dtype))
    ids, lengths, sums = arrays
    stored = manifest.parts["rows"]
    dim = stored.size // (2 * len(ids)) if len(ids) else manifest.dim
    rows = RowFile.open(folder / stored.file, dim, len(ids), sums)
    return None if rows is None else (rows, ids, lengths)


def _lengths(halves: Halves) -> Vectors:
    """Euclidean lengths of rows (N, D) → (N,); 1 for a row of zeros, to divide by."""
    lengths = np.linalg.norm(halves.astype(np.float32), axis=1)
    return np.asarray(np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _padded(similarities: Vectors, ids: Ids, k: int) -> tuple[Vectors, Ids]:
    """(Q, n) → (Q, k), n <= k: similarities padded with -inf, ids with -1."""
    missing = ((0, 0), (0, k - similarities.shape[1]))
    return (
        np.pad(similarities, missing, constant_values=-np.inf),
        np.pad(ids, missing, constant_values=-1),
    )
