"""Encoded images in the columns of a Parquet file, and reading one of them.

A column holds images as plain bytes, or as the `datasets` library writes them: a struct of `bytes`
and `path`. An image's path continues the file's by column and row, counted from 1, as a tar
member's does: `/data/train.parquet/image/3`.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from typing import Any

from cbir.config import max_bytes
from cbir.errors import ImageError, ImageMissingError
from cbir.files import import_pyarrow
from cbir.sources.paths import unreadable
from cbir.sources.rows import ImageCell

__all__ = [
    "STREAMED",
    "holds_images",
    "image_cells",
    "image_path",
    "is_plain",
    "read_row_image",
    "row_image_version",
]

WINDOW_ROWS = 64
"""Rows that are decoded at a time."""
WINDOWS_KEPT = 4
"""Blocks of rows that stay in memory: threads read a little out of order."""
FILES_OPEN = 4
STREAMED = {"pre_buffer": False, "buffer_size": 1 << 20}
"""Options of pyarrow with which a page of a column is in memory, not all of a row group."""


def is_bytes(kind: Any) -> bool:
    """Whether a column's type is one of bytes."""
    import pyarrow as pa

    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or str(kind).startswith("binary_view")
    )


def holds_images(kind: Any) -> bool:
    """Whether a column may hold encoded images: bytes, or a struct with a field `bytes`."""
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return is_bytes(kind)
    place = kind.get_field_index("bytes")
    return place >= 0 and is_bytes(kind.field(place).type)


def is_plain(kind: Any) -> bool:
    """Whether a column can be metadata, without any bytes in it."""
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        return is_plain(kind.value_type)
    if pa.types.is_struct(kind):
        return all(is_plain(kind.field(n).type) for n in range(kind.num_fields))
    return not is_bytes(kind)


def image_cells(column: Any) -> list[ImageCell | None]:
    """The cells of a column of images: their sizes and paths, without copying the bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    data, paths = column, None
    if pa.types.is_struct(column.type):
        place = column.type.get_field_index("path")
        # `flatten` marks the parts of a missing struct as missing, which `field` does not.
        parts = column.flatten()
        data = parts[column.type.get_field_index("bytes")]
        paths = parts[place].to_pylist() if place >= 0 else None
    if str(data.type).startswith("binary_view"):
        data = data.cast(pa.large_binary())
    sizes = pc.binary_length(data).to_pylist()
    named = paths if paths is not None else [None] * len(sizes)
    return [
        None if size is None and not path else ImageCell(size, str(path or ""))
        for size, path in zip(sizes, named, strict=True)
    ]


def image_path(parquet: str, column: str, number: int) -> str:
    """The path of the image in a column and row."""
    return f"{parquet}/{column}/{number}"


def read_row_image(parquet: str, member: str) -> bytes:
    """Read the image at `COLUMN/ROW` of a Parquet file. Raises ImageError."""
    value = _cell(parquet, member)
    if len(value) > max_bytes():
        raise ImageError(
            f"{len(value) / 1e6:,.0f} MB, above the limit of {max_bytes() / 1e6:,.0f} MB; "
            "CBIR_MAX_PIXELS raises it (10 bytes per pixel)"
        )
    return bytes(value)


def row_image_version(parquet: str, member: str) -> tuple[int, int]:
    """Bytes of the image at `COLUMN/ROW`, and the file's modification time in ns.

    Raises ImageError.
    """
    size = len(_cell(parquet, member))
    try:
        return size, os.stat(parquet).st_mtime_ns  # noqa: PTH116  (need not be UTF-8)
    except OSError as error:
        raise unreadable(error) from error


def _cell(parquet: str, member: str) -> memoryview:
    column, _, row = member.rpartition("/")
    if not (column and row.isdecimal() and row.isascii()):
        raise ImageMissingError(f"{member!r:.100} is no column and row of a Parquet file")
    pyarrow, _ = import_pyarrow("index the images as files")
    try:
        with _lock:
            return _file(parquet).cell(column, int(row) - 1)
    except ImageError:
        raise
    except OSError as error:
        raise unreadable(error) from error
    except pyarrow.ArrowException as error:
        reason = " ".join(str(error).split())[:200]
        raise ImageError(f"damaged Parquet file: {reason}") from error


class _ParquetImages:
    """An open Parquet file and the blocks of rows that were read last."""

    def __init__(self, path: str) -> None:
        _, parquet = import_pyarrow("index the images as files")
        self._file = parquet.ParquetFile(path, **STREAMED)
        metadata = self._file.metadata
        groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        self._ends = list(accumulate(groups))
        self._column = ""
        self._blocks: OrderedDict[int, Any] = OrderedDict()
        """First row → its block, in the order of reading."""
        self._next = 0
        """The row that `_batches` goes on with."""
        self._batches: Any = iter(())

    def close(self) -> None:
        self._file.close()

    def cell(self, column: str, row: int) -> memoryview:
        """The bytes in a row, counted from 0. Raises ImageError."""
        if not 0 <= row < (self._ends[-1] if self._ends else 0):
            raise ImageMissingError(f"no row {row + 1:,} in the Parquet file")
        kind = self._file.schema_arrow
        if column not in kind.names or not holds_images(kind.field(column).type):
            raise ImageMissingError(f"no column {column!r:.100} of images in the Parquet file")
        if column != self._column:
            self._column, self._next = column, len(self._ends) and self._ends[-1]
            self._blocks.clear()
        value = self._block_with(row)
        if value is None:
            raise ImageMissingError(f"row {row + 1:,} of the Parquet file has no image")
        return memoryview(value)

    def _block_with(self, row: int) -> Any:
        """The buffer in a row, from a block in memory, or read on or from its group's start."""
        for first, block in self._blocks.items():
            if first <= row < first + len(block):
                return _buffer(block, row - first)
        group = bisect_right(self._ends, row)
        start = self._ends[group - 1] if group else 0
        if not start <= self._next <= row:
            self._next, self._batches = start, self._read(range(group, len(self._ends)))
        while True:
            batch = next(self._batches)
            first, self._next = self._next, self._next + batch.num_rows
            self._blocks[first] = block = batch.column(0)
            while len(self._blocks) > WINDOWS_KEPT:
                self._blocks.popitem(last=False)
            if row < self._next:
                return _buffer(block, row - first)

    def _read(self, groups: range) -> Any:
        return self._file.iter_batches(
            WINDOW_ROWS, row_groups=list(groups), columns=[self._column], use_threads=False
        )


def _buffer(column: Any, place: int) -> Any:
    value = column[place]
    if hasattr(value, "keys"):  # a struct
        value = value["bytes"] if value.is_valid else value
    return value.as_buffer() if value.is_valid else None


_lock = threading.RLock()
_files: OrderedDict[str, tuple[tuple[int, int], _ParquetImages]] = OrderedDict()


def _file(path: str) -> _ParquetImages:
    status = os.stat(path)  # noqa: PTH116
    state = status.st_size, status.st_mtime_ns
    known = _files.pop(path, None)
    if known is None or known[0] != state:
        if known is not None:
            known[1].close()
        known = state, _ParquetImages(path)
    _files[path] = known
    while len(_files) > FILES_OPEN:
        _files.popitem(last=False)[1][1].close()
    return known[1]
