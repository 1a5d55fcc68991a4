"""Writes recommendations as a table to a CSV, JSON Lines or Parquet file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from cbir.errors import CbirError
from cbir.files import import_pyarrow, replacing

__all__ = ["COLUMNS", "RowWriter", "TableRows", "check_format", "open_writer"]

COLUMNS = {
    "item_id": "int64",
    "item_key": "string",
    "rank": "int32",
    "recommended_id": "int64",
    "recommended_key": "string",
    "similarity": "float32",
    "score": "float32",
}
"""Every column with its Parquet type."""

TableRows: TypeAlias = Sequence[tuple[int, str, int, int, str, float, float]]
"""Rows of the table, in the order of `COLUMNS`."""


class RowWriter(Protocol):
    """A function that appends rows to an open file."""

    def __call__(self, rows: TableRows) -> None:
        """Append rows."""
        ...


def check_format(path: Path) -> None:
    """Check a path. Raises CbirError for an unknown suffix, MissingExtraError without pyarrow."""
    if path.suffix.lower() not in _WRITERS:
        raise CbirError(f"{path} has no known format; name it .parquet, .csv or .jsonl")
    if path.suffix.lower() == ".parquet":
        _pyarrow()


@contextmanager
def open_writer(path: Path) -> Iterator[RowWriter]:
    """Open a table for writing; `path` is replaced only once all rows are written."""
    check_format(path)
    try:
        with replacing(path) as beside, _WRITERS[path.suffix.lower()](beside) as write:
            yield write
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _csv(path: Path) -> Iterator[RowWriter]:
    # A key may hold bytes that are not valid text: they are written unchanged.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)

        def write(rows: TableRows) -> None:
            writer.writerows((*row[:5], f"{row[5]:.6f}", f"{row[6]:.6f}") for row in rows)

        yield write


@contextmanager
def _jsonl(path: Path) -> Iterator[RowWriter]:
    with path.open("w", encoding="utf-8") as file:

        def write(rows: TableRows) -> None:
            for row in rows:
                rounded = (*row[:5], round(row[5], 6), round(row[6], 6))
                file.write(json.dumps(dict(zip(COLUMNS, rounded, strict=True))) + "\n")

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[RowWriter]:
    arrow, parquet = _pyarrow()
    schema = arrow.schema(list(COLUMNS.items()))
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def write(rows: TableRows) -> None:
            columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
            arrays = [
                arrow.array(column, type=field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(arrow.table(arrays, schema=schema))

        yield write


def _pyarrow() -> tuple[Any, Any]:
    return import_pyarrow("write .csv or .jsonl")


_WRITERS: dict[str, Any] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
