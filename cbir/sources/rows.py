"""The rows of a catalogue file, whatever its format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

__all__ = ["MANIFEST_SUFFIXES", "Row", "Rows", "open_rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what its columns hold, or why it cannot be read."""

    number: int
    """Where it stands in the file, from 1."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Columns that say something, as text, numbers, booleans, dates and lists."""
    problem: str = ""


class Rows(Protocol):
    """All rows of one file. May be iterated more than once; the file is never held in memory."""

    word: str
    """What `Row.number` counts: `line` or `row`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names. Raises SourceError."""

    def count(self) -> int:
        """How many rows there are. Raises SourceError."""

    def __iter__(self) -> Iterator[Row]:
        """Every row; raises SourceError when the file cannot be read on."""


_FORMATS = {
    ".csv": "cbir.sources.table:CsvRows",
    ".tsv": "cbir.sources.table:CsvRows",
    ".jsonl": "cbir.sources.jsonl:JsonRows",
    ".ndjson": "cbir.sources.jsonl:JsonRows",
    ".parquet": "cbir.sources.parquet:ParquetRows",
}
MANIFEST_SUFFIXES = frozenset(_FORMATS)


def open_rows(path: str, *, image_column: str, names: Collection[str]) -> Rows:
    """The rows of the file at `path`, by its suffix.

    `names` are columns that name things (an image, a key): a file without types keeps them text.
    Raises SourceError when the file cannot be read, MissingExtraError without what reads it.
    """
    module, _, name = _FORMATS[Path(path).suffix.casefold()].partition(":")
    rows: Rows = getattr(import_module(module), name)(path, image_column, names)
    return rows
