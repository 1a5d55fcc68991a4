"""A matrix of vectors in a file, whose rows are appended and looked up without loading it all."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.indexes.half_scan import Halves

BLOCK_BYTES = 1 << 20
"""Bytes covered by each checksum."""
CHECKED_BLOCKS = 64
"""Number of blocks whose checksums are verified at opening, evenly spread; all of a small file."""
RESIDENT_BYTES = 1 << 30
"""Most bytes of rows that stay mapped after lookups; beyond, they are unmapped but stay cached."""
FAULT_BYTES = 64 << 10
"""Bytes that Linux maps around an accessed page, if the file is cached."""
SPILL_BYTES = 4 << 20
"""Most bytes of rows held in memory while a file is built."""
SCAN_ROWS = 8192
"""Number of rows that a scan reads at once."""
BUILD_ROWS = 512
"""Number of rows read at once where none is needed again."""

Sums = npt.NDArray[np.uint32]


class RowFile:
    """A growing matrix (N, D) of float16 in a file; rows not yet written are held in memory.

    Rows are never changed in place. Only rows appended since the last `flush` are lost when the
    process is killed: the index's manifest says how many rows of the file belong to it.
    """

    def __init__(self, path: Path, dim: int) -> None:
        """A file without rows, which the first `flush` creates."""
        self.path = path
        self.dim = dim
        self._mapped: Halves = np.empty((0, dim), np.float16)
        self._map: mmap.mmap | None = None
        self._tail: list[Halves] = []
        self._tail_rows = 0
        self._sums = np.empty(0, np.uint32)
        self._touched = 0
        self._synced = True

    @classmethod
    def open(cls, path: Path, dim: int, rows: int, sums: Sums) -> RowFile | None:
        """Open the first `rows` rows of a file; None when some are missing or damaged."""
        opened = cls(path, dim)
        size = rows * opened._row_bytes
        try:
            if path.stat().st_size < size or len(sums) != -(-size // BLOCK_BYTES):
                return None
            opened._remap(rows)
        except (OSError, ValueError):
            return None
        opened._sums = sums
        some = np.unique(np.linspace(0, len(sums) - 1, CHECKED_BLOCKS).astype(int))
        sound = all(opened._checksum(i) == sums[i] for i in some[: len(sums)])
        opened._release()
        return opened if sound else None

    def __len__(self) -> int:
        return len(self._mapped) + self._tail_rows

    @property
    def sums(self) -> Sums:
        """Checksums of the flushed rows, one per `BLOCK_BYTES`; the last block may be partial."""
        return self._sums

    @property
    def flushed_bytes(self) -> int:
        """Size of the flushed rows in bytes."""
        return len(self._mapped) * self._row_bytes

    def append(self, rows: Halves) -> None:
        """Add rows (N, D); they stay in memory until the next `flush`."""
        self._tail.append(rows)
        self._tail_rows += len(rows)

    def copy(self, path: Path) -> RowFile:
        """The same rows in a new file. Raises OSError."""
        other = RowFile(path, self.dim)
        for start in range(0, len(self._mapped), SCAN_ROWS):
            other.append(self._mapped[start : start + SCAN_ROWS])
            other.spill()
        other._tail += self._tail
        other._tail_rows += self._tail_rows
        return other

    def flush(self, *, readers: AbstractContextManager[object] | None = None) -> None:
        """Append the rows in memory to the file and sync it. Raises OSError.

        Other threads may look up rows meanwhile, if they hold the lock `readers`: it is taken
        briefly, when the rows in memory become rows of the file.
        """
        if self._tail_rows or not self.path.exists():
            self._write(readers)
        if not self._synced:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
            self._synced = True

    def rename(self, path: Path, *, readers: AbstractContextManager[object]) -> None:
        """Rename the flushed file; `readers` as in `flush`. Raises OSError."""
        rows = len(self._mapped)
        with readers:
            # Windows cannot rename a mapped file.
            self._mapped, self._map = np.empty((0, self.dim), np.float16), None
            try:
                self.path.replace(path)
                self.path = path
            finally:
                self._remap(rows)

    def spill(self) -> None:
        """Write rows to the file, unsynced, once many are in memory: bounds memory in a build."""
        if self._tail_rows * self._row_bytes >= SPILL_BYTES:
            self._write(None)

    def take(self, rows: Ids) -> Vectors:
        """The rows with these numbers: (N,) → (N, D) float32."""
        return self.halves(rows).astype(np.float32)

    def halves(self, rows: Ids) -> Halves:
        """The stored rows with these numbers: (N,) → (N, D) float16."""
        in_file = rows < len(self._mapped)
        if in_file.all():
            halves = self._mapped[rows]
        else:
            halves = np.empty((len(rows), self.dim), np.float16)
            halves[in_file] = self._mapped[rows[in_file]]
            halves[~in_file] = self._memory()[rows[~in_file] - len(self._mapped)]
        self._touch(len(rows) * (self._row_bytes + FAULT_BYTES))
        return halves

    def take_once(self, rows: Ids) -> Vectors:
        """As `take`, for many rows that are not needed again: nothing stays mapped."""
        taken = np.empty((len(rows), self.dim), np.float32)
        for start in range(0, len(rows), BUILD_ROWS):
            taken[start : start + BUILD_ROWS] = self.halves(rows[start : start + BUILD_ROWS])
            self._release()
        return taken

    def scan(self) -> Iterator[tuple[int, Vectors]]:
        """All rows in order: pages of the first row's number and the rows (N, D) float32.

        Nothing stays mapped.
        """
        for start in range(0, len(self), BUILD_ROWS):
            yield start, self.take_once(np.arange(start, min(start + BUILD_ROWS, len(self))))

    def pages(self) -> Iterator[tuple[int, Halves]]:
        """All rows in order, as float16; a page is valid until the next one is read."""
        for start in range(0, len(self._mapped), SCAN_ROWS):
            yield start, self._mapped[start : start + SCAN_ROWS]
            self._touch(SCAN_ROWS * self._row_bytes)
        for start in range(0, self._tail_rows, SCAN_ROWS):
            yield len(self._mapped) + start, self._memory()[start : start + SCAN_ROWS]

    def close(self) -> None:
        """Unmap the file and drop the rows in memory."""
        self._mapped, self._map = np.empty((0, self.dim), np.float16), None
        self._tail, self._tail_rows = [], 0

    @property
    def _row_bytes(self) -> int:
        return 2 * self.dim

    def _memory(self) -> Halves:
        if len(self._tail) > 1:
            self._tail = [np.concatenate(self._tail)]
        return self._tail[0]

    def _remap(self, rows: int) -> None:
        if rows == 0:
            self.close()
            return
        with self.path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), rows * self._row_bytes, access=mmap.ACCESS_READ)
        self._mapped = np.frombuffer(self._map, "<f2").reshape(rows, self.dim)

    def _write(self, readers: AbstractContextManager[object] | None) -> None:
        """Append the rows in memory to the file. Raises OSError."""
        before = len(self._mapped)
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            self._synced = False
            # The file may end in rows of a process killed before it saved a manifest.
            file.truncate(before * self._row_bytes)
            file.seek(0, os.SEEK_END)
            for rows in self._tail:
                file.write(np.ascontiguousarray(rows).data)
        after = len(self)
        with readers or nullcontext():
            self._remap(after)
            self._tail, self._tail_rows = [], 0
        whole = before * self._row_bytes // BLOCK_BYTES
        count = -(-after * self._row_bytes // BLOCK_BYTES)
        fresh = [self._checksum(i) for i in range(whole, count)]
        self._sums = np.concatenate([self._sums[:whole], np.array(fresh, np.uint32)])
        self._release()

    def _checksum(self, block: int) -> int:
        assert self._map is not None
        return zlib.crc32(self._map[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES])

    def _touch(self, size: int) -> None:
        """Count `size` more bytes as mapped, and unmap everything beyond the limit."""
        self._touched += size
        if self._touched > RESIDENT_BYTES and self.flushed_bytes > RESIDENT_BYTES:
            self._release()

    def _release(self) -> None:
        """Unmap the pages that lookups accessed; the system still caches them."""
        self._touched = 0
        if self._map is not None and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)
