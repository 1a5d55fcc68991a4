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
from cbir.sources.paths import printable
from cbir.sources.rows import Row

__all__ = ["ParquetRows"]

BATCH_ROWS = 1024


class ParquetRows:
    """The rows of a Parquet file, in the file's types. Columns of bytes are not read."""

    word = "row"

    def __init__(self, path: str, image_column: str, names: Collection[str]) -> None:
        self._path = path
        self._columns: tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        if self._columns is None:
            with self._opened() as file:
                self._columns = tuple(f.name for f in file.schema_arrow if _is_plain(f.type))
        return self._columns

    def count(self) -> int:
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def __iter__(self) -> Iterator[Row]:
        number = 0
        with self._opened() as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(self.columns)):
                columns = [_values(column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    number += 1
                    named = zip(batch.schema.names, cells, strict=True)
                    yield Row(number, {n: _plain(v) for n, v in named if not is_empty(v)})

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        pyarrow, parquet = import_pyarrow("list the images in a .csv or .jsonl")
        try:
            with parquet.ParquetFile(self._path) as file:
                yield file
        except (OSError, pyarrow.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise SourceError(f"{printable(self._path)}: cannot be read: {reason}") from error


def _is_plain(kind: Any) -> bool:
    """Whether a column can be metadata: columns of bytes, such as encoded images, cannot."""
    import pyarrow as pa

    return not (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or str(kind).startswith("binary_view")
    )


def _values(column: Any) -> list[Any]:
    """A column's values as Python objects; nanoseconds are cut to microseconds."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict) else value
