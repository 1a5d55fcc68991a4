"""An index that compares a query with every vector; the vectors lie in a file, as float16.

An image added is a row appended, an image removed a row struck out. Opening maps the file and reads
almost nothing of it; what was searched once is in the system's cache.

Rounding to float16 moves the length of a vector by up to 2^-11, and a similarity with it. The
lengths are kept as float32: the best few are divided by them, and put in order again.
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
from cbir.indexes.protocol import BuiltKind
from cbir.indexes.row_file import RowFile

__all__ = ["FlatIndex", "read_rows", "write_rows"]

STRUCK_PART = 5
"""When one row in so many is struck out, building anew pays."""
FEW_PART = 20
"""Among such a part of all images, each is looked up; among more, all rows are read in order."""
SPARE = 16
"""So many more than asked for are put in order by their true lengths."""


class FlatIndex:
    """`SearchStructure` that scans vectors in a file."""

    kind: BuiltKind = "flat"

    def __init__(self, rows: RowFile, ids: Ids, lengths: Vectors) -> None:
        self._rows = rows
        self._ids = ids
        """(N,) the id of each row; -1 for one that is struck out."""
        self._lengths = lengths
        """(N,) of the rows as they are stored."""

    @classmethod
    def build(cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int) -> FlatIndex:
        """An index of vectors that come as pages of ids (N,) and vectors (N, D)."""
        return cls(*write_rows(folder, pages, dim))

    @classmethod
    def load(cls, folder: Path, header: IndexManifest) -> FlatIndex | None:
        """What `save` wrote; None when any of it is missing or damaged."""
        found = read_rows(folder, header)
        return None if found is None else cls(*found)

    @property
    def dim(self) -> int:
        return self._rows.dim

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        if allowed is None:
            return self._scan(queries, k)
        own = np.sort(self._rows_of(allowed))
        if len(own) > len(self._ids) // FEW_PART:
            return self._scan(queries, k, own)
        return _wide(*self._nearest(queries, k, own, self._rows.halves(own)), k)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        halves = vectors.astype(np.float16)
        self._rows.append(halves)
        self._ids = np.concatenate([self._ids, ids])
        self._lengths = np.concatenate([self._lengths, _lengths(halves)])
        self._forget_order()

    def forget(self, ids: Ids) -> bool:
        if len(self._ids) - self.count() + len(ids) > len(self._ids) // STRUCK_PART:
            return False
        self._ids = self._ids.copy()
        self._ids[self._rows_of(ids)] = -1
        self._forget_order()
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
        there = None if current is None else current.parts.get("rows")
        name = self._rows.path.name
        ours = there is not None and (there.file, there.size) == (name, self._rows.flushed_bytes)
        if not ours and not name.startswith(index_files.BUILDING):
            # Another process has appended to the file, or put another in its place.
            copied = self._rows.copy(folder / index_files.new_name("rows", ".f16"))
            with searching:
                self._rows = copied
            name = self._rows.path.name
        self._rows.flush(readers=searching)
        if name.startswith(index_files.BUILDING):
            name = index_files.new_name("rows", ".f16")
            self._rows.rename(folder / name, readers=searching)
        parts = {"rows": Part(name, self._rows.flushed_bytes, None)}
        own = {
            "ids": self._ids.astype("<i8"),
            "lengths": self._lengths.astype("<f4"),
            "sums": self._rows.sums.astype("<u4"),
        }
        for stem, data in own.items():
            parts[stem] = index_files.write_part(folder, stem, ".bin", data.view(np.uint8))
        return parts

    def close(self) -> None:
        self._rows.close()

    def _scan(self, queries: Vectors, k: int, allowed: Ids | None = None) -> tuple[Vectors, Ids]:
        """The best k of all rows, or of these (ascending)."""
        similarities = np.empty((len(queries), 0), np.float32)
        ids = np.empty((len(queries), 0), np.int64)
        for start, page in self._rows.pages():
            own = self._ids[start : start + len(page)]
            kept = own >= 0
            if allowed is not None:
                low, high = np.searchsorted(allowed, (start, start + len(page)))
                kept = np.zeros(len(page), bool)
                kept[allowed[low:high] - start] = True
            if not kept.any():
                continue
            numbers = np.arange(start, start + len(page))
            found, named = self._nearest(queries, k, numbers, page, None if kept.all() else kept)
            both = np.concatenate([similarities, found], axis=1)
            named = np.concatenate([ids, named], axis=1)
            best = np.argsort(-both, axis=1, kind="stable")[:, :k]
            similarities = np.take_along_axis(both, best, axis=1)
            ids = np.take_along_axis(named, best, axis=1)
        return _wide(similarities, ids, k)

    def _nearest(
        self,
        queries: Vectors,
        k: int,
        numbers: Ids,
        rows: Halves,
        kept: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Vectors, Ids]:
        """The best k of rows (n, D) with these numbers (n,): similarities and ids, (Q, k) each."""
        products, places = nearest_rows(queries, k + SPARE, rows, kept)
        found = numbers[places]
        similarities = products / self._lengths[found]
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        ids = self._ids[np.take_along_axis(found, best, axis=1)]
        return np.take_along_axis(similarities, best, axis=1), ids

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


def write_rows(
    folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int
) -> tuple[RowFile, Ids, Vectors]:
    """Vectors that come as pages of ids (N,) and vectors (N, D), in a new file in `folder`.

    They stay in memory where that cannot be written. What a `FlatIndex` is made of.
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
        except OSError:  # a full disk, say: what is in memory can be searched all the same
            writable = False
    return rows, np.concatenate(ids), np.concatenate(lengths)


def read_rows(folder: Path, header: IndexManifest) -> tuple[RowFile, Ids, Vectors] | None:
    """What an index saved of a `FlatIndex`; None when any of it is missing or damaged."""
    if {"rows", "ids", "lengths", "sums"} - header.parts.keys():
        return None
    found = []
    for name, dtype in (("ids", "<i8"), ("lengths", "<f4"), ("sums", "<u4")):
        data = index_files.read_part(folder, header.parts[name])
        if data is None:
            return None
        found.append(np.array(data).view(dtype))
    ids, lengths, sums = found
    stored = header.parts["rows"]
    dim = stored.size // (2 * len(ids)) if len(ids) else header.dim
    rows = RowFile.open(folder / stored.file, dim, len(ids), sums)
    return None if rows is None else (rows, ids, lengths)


def _lengths(halves: Halves) -> Vectors:
    """Of rows (N, D): (N,); 1 for a row of zeros, so that it may be divided by."""
    lengths = np.linalg.norm(halves.astype(np.float32), axis=1)
    return np.asarray(np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _wide(similarities: Vectors, ids: Ids, k: int) -> tuple[Vectors, Ids]:
    """Columns (Q, n) filled up to k: with -inf, and with -1 for ids."""
    missing = ((0, 0), (0, k - similarities.shape[1]))
    return (
        np.pad(similarities, missing, constant_values=-np.inf),
        np.pad(ids, missing, constant_values=-1),
    )
