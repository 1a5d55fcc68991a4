"""The protocol of row readers for manifests, and the registry of their formats."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cbir.registry import load_part

__all__ = ["ImageCell", "Row", "RowReader", "open_rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest: its values, or the problem with it."""

    number: int
    """Number of its line or row in the file, from 1."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Columns that are not empty: text, numbers, booleans, dates, lists and an ImageCell."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ImageCell:
    """A cell of a column that holds encoded images. Its bytes are read when they are needed."""

    size: int | None
    """Bytes of the image; None where the cell has none."""
    path: str = ""
    """Name of the file that the image was, or where it lies if the cell has no bytes."""


class RowReader(Protocol):
    """Reads the rows of one file in little memory. It can be iterated more than once."""

    @property
    def word(self) -> str:
        """`line`, `row` or `item`: the unit of `Row.number`."""

    @property
    def image_columns(self) -> tuple[str, ...]:
        """Columns that hold encoded images instead of paths; their values are ImageCells."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns. Raises SourceError."""

    def count(self) -> int:
        """Number of rows. Raises SourceError."""

    def __iter__(self) -> Iterator[Row]:
        """Yield every row. Raises SourceError when the file cannot be read further."""


_FORMATS = {
    ".csv": "cbir.sources.table:CsvRows",
    ".tsv": "cbir.sources.table:CsvRows",
    ".json": "cbir.sources.jsonl:JsonRows",
    ".jsonl": "cbir.sources.jsonl:JsonRows",
    ".ndjson": "cbir.sources.jsonl:JsonRows",
    ".parquet": "cbir.sources.parquet:ParquetRows",
}


def open_rows(path: str, *, image_column: str, names: Collection[str]) -> RowReader:
    """Open the manifest at `path` with the reader for its suffix.

    `names` are columns with paths or keys, which stay text in a format without types; of columns
    with images only `image_column` is read. Raises
    SourceError when the file cannot be read, MissingExtraError if the library for it is missing.
    """
    reader = load_part(_FORMATS[Path(path).suffix.casefold()])
    rows: RowReader = reader(path, image_column, names)
    return rows
