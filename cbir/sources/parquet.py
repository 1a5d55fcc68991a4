"""Reads manifests in Parquet, batch by batch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from cbir.errors import SourceError
from cbir.files import import_pyarrow
from cbir.sources.columns import is_empty
from cbir.sources.parquet_images import STREAMED, holds_images, image_cells, is_plain
from cbir.sources.paths import printable
from cbir.sources.rows import Row

__all__ = ["ParquetRows"]

BATCH_ROWS = 1024
IMAGE_ROWS = 64


class ParquetRows:
    """The rows of a Parquet file, in the file's types. Of images only the sizes are listed."""

    word = "row"

    def __init__(self, path: str, image_column: str, names: Collection[str]) -> None:
        self._path = path
        self._image_column = image_column
        self._columns: tuple[str, ...] | None = None
        self._image_columns: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        if self._columns is None:
            with self._opened() as file:
                schema = file.schema_arrow
                self._columns = tuple(f.name for f in schema if is_plain(f.type))
                self._image_columns = tuple(f.name for f in schema if holds_images(f.type))
        return self._columns

    @property
    def image_columns(self) -> tuple[str, ...]:
        assert self.columns is not None
        return self._image_columns

    def count(self) -> int:
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def __iter__(self) -> Iterator[Row]:
        image = self._image_column if self._image_column in self.image_columns else None
        names = [name for name in self.columns if name not in self.image_columns or name == image]
        names += [image] if image is not None and image not in names else []
        # Images are large: fewer of them are in memory at a time.
        rows, number = (BATCH_ROWS if image is None else IMAGE_ROWS), 0
        with self._opened() as file:
            for batch in file.iter_batches(rows, columns=names):
                columns = [
                    image_cells(column) if name == image else _values(column)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                ]
                for cells in zip(*columns, strict=True):
                    number += 1
                    named = zip(batch.schema.names, cells, strict=True)
                    yield Row(number, {n: _plain(v) for n, v in named if not is_empty(v)})

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        pyarrow, parquet = import_pyarrow("list the images in a .csv or .jsonl")
        try:
            with parquet.ParquetFile(self._path, **STREAMED) as file:
                yield file
        except (OSError, pyarrow.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise SourceError(f"{printable(self._path)}: cannot be read: {reason}") from error


def _values(column: Any) -> list[Any]:
    """A column's values as Python objects; nanoseconds are cut to microseconds."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):  # such as a time in the year 300,000
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    """A value as a Python object; as text where Python has none."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        # The number of a time's units; its own text may raise, too.
        return f"{getattr(scalar, 'value', '')} {scalar.type}".strip()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict) else value
