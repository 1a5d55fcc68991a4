"""Reads CSV files with a header, row by row; errors name the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cbir.errors import SourceError
from cbir.sources.columns import ColumnTypes, is_empty
from cbir.sources.paths import printable
from cbir.sources.rows import Row

__all__ = ["CsvRows", "Table"]

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose header has been read."""

    path: str
    delimiter: str
    columns: tuple[str, ...]
    """Names without surrounding space; empty where a column has no name."""

    @classmethod
    def open(cls, path: str, *, expected: str) -> Table:
        """Read the header, with the delimiter that yields the expected column, if one does.

        Raises SourceError if the file cannot be read or has no header.
        """
        tables = []
        for delimiter in _DELIMITERS:
            with _opened(path) as file:
                header = next(_rows(path, file, delimiter), None)
            if header is None:
                raise SourceError(f"{printable(path)}: empty; its first line should name columns")
            tables.append(cls(path, delimiter, tuple(name.strip() for name in header[1])))
            if expected in tables[-1].columns:
                return tables[-1]
        return max(tables, key=lambda table: len(table.columns))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of every row below the header that is not blank.

        A row may have more or fewer cells than columns. The line is the last one of the row.
        """
        with _opened(self.path) as file:
            rows = _rows(self.path, file, self.delimiter)
            next(rows, None)
            yield from rows


class CsvRows:
    """The rows of a CSV manifest; each column's type is inferred from all its cells."""

    word = "line"

    def __init__(self, path: str, image_column: str, names: Collection[str]) -> None:
        """`names` are columns that stay text. Raises SourceError as `Table.open` does."""
        self._table = Table.open(path, expected=image_column)
        self._names = names
        self._survey: tuple[int, ColumnTypes] | None = None
        self.columns = tuple(name for name in self._table.columns if name)
        for name in self.columns:
            if self.columns.count(name) > 1:
                raise SourceError(f"{printable(path)}: two columns are called {name!r}; rename one")

    def count(self) -> int:
        return self._surveyed()[0]

    def __iter__(self) -> Iterator[Row]:
        _, types = self._surveyed()
        columns, width = self._table.columns, len(self._table.columns)
        for line, cells in self._table.rows():
            if any(cells[width:]):
                yield Row(line, problem=f"row has {len(cells)} cells, the header {width}")
                continue
            named = zip(columns, cells, strict=False)
            yield Row(
                line,
                {
                    name: cell if name in self._names else types.read(name, cell)
                    for name, cell in named
                    if name and not is_empty(cell)
                },
            )

    def _surveyed(self) -> tuple[int, ColumnTypes]:
        """(number of rows, column types), from one pass over the file, then cached."""
        if self._survey is None:
            types, count = ColumnTypes(), 0
            columns = self._table.columns
            for _, cells in self._table.rows():
                count += 1
                if any(cells[len(columns) :]):
                    continue
                for name, cell in zip(columns, cells, strict=False):
                    if name and not is_empty(cell):
                        types.see(name, cell)
            self._survey = count, types
        return self._survey


def _rows(path: str, file: io.TextIOBase, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    current: list[str] = []  # the physical lines of the row being read

    def lines() -> Iterator[str]:
        for line in file:
            current.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            # An open quote swallows the rows after it, often all of them. Without an error they
            # would count as removed.
            if len(current) > 1 and sum(line.count('"') for line in current) % 2:
                raise csv.Error("a quote is opened and never closed")
            current.clear()
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        first = reader.line_num - len(current) + 1
        raise SourceError(
            f"{printable(path)}: the row in line {first} cannot be read: {error}"
        ) from error


@contextmanager
def _opened(path: str) -> Iterator[io.TextIOBase]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise SourceError(f"{printable(path)}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = _first_undecodable_line(path)
        raise SourceError(
            f"{printable(path)}: line {line} is not UTF-8 text; save the file as UTF-8 "
            "('CSV UTF-8' in a spreadsheet)"
        ) from error


def _first_undecodable_line(path: str) -> int:
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
