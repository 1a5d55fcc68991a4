"""Reads CSV files with a header, row by row; errors name the line."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cbir.errors import SourceError
from cbir.messages import shortened
from cbir.sources.columns import ColumnTypes, is_empty
from cbir.sources.encodings import HEAD_BYTES, text_encoding
from cbir.sources.paths import printable, read_head
from cbir.sources.rows import Row

__all__ = ["CsvRows", "Table"]

_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)
"""The first line by which a file tells Excel its delimiter."""

LONGEST_CELL = 10_000_000
"""Longest cell that is read, in characters. Python's limit is 131,072, which the descriptions of
some shops exceed."""


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

        A first line `sep=;` names the delimiter. Raises SourceError if the file cannot be read or
        has no header.
        """
        tables: list[Table] = []
        stated = _stated_delimiter(path)
        for delimiter in _DELIMITERS if stated is None else (stated,):
            with _opened(path) as file:
                header = next(_rows(path, file, delimiter), None)
            if header is None:
                raise SourceError(f"{printable(path)}: empty; its first line should name columns")
            tables.append(cls(path, delimiter, tuple(name.strip() for name in header[1])))
        by_columns = sorted(tables, key=lambda table: -len(table.columns))
        exact = [table for table in tables if expected in table.columns]
        alike = [t for t in tables if expected.casefold() in map(str.casefold, t.columns)]
        return (exact + alike + by_columns)[0]

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
    image_columns: tuple[str, ...] = ()

    def __init__(self, path: str, image_column: str, names: Collection[str]) -> None:
        """`names` are columns that stay text. Raises SourceError as `Table.open` does."""
        self._table = Table.open(path, expected=image_column)
        self._names = names
        self._survey: tuple[int, ColumnTypes] | None = None
        self.columns = tuple(name for name in self._table.columns if name)
        for name in self.columns:
            if self.columns.count(name) > 1:
                raise SourceError(
                    f"{printable(path)}: two columns are called {shortened(name)!r}; rename one"
                )

    def count(self) -> int:
        return self._surveyed()[0]

    def __iter__(self) -> Iterator[Row]:
        _, types = self._surveyed()
        columns, width = self._table.columns, len(self._table.columns)
        for line, cells in self._table.rows():
            if any(cells[width:]):
                yield Row(line, problem=f"row has {len(cells)} cells, the header {width}")
                continue
            values = {}
            for name, cell in zip(columns, cells, strict=False):
                if name and not is_empty(cell):
                    read = types.read_key if name in self._names else types.read
                    value = read(name, cell)
                    if value is not None and value != "":
                        values[name] = value
            yield Row(line, values)

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

    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))  # one for the whole process
    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if reader.line_num == 1 and _SEPARATOR.fullmatch(current[0]):
                current.clear()
                continue
            # An open quote swallows the rows after it, often all of them. Without an error they
            # would count as removed.
            if len(current) > 1 and sum(line.count('"') for line in current) % 2:
                raise csv.Error("a quote is opened and never closed")
            current.clear()
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        first = max(1, reader.line_num - len(current) + 1)
        if "field limit" in str(error):
            error = csv.Error(
                f"a cell of more than {LONGEST_CELL:,} characters; is a quote opened there that is "
                "never closed?"
            )
        raise SourceError(
            f"{printable(path)}: the row in line {first} cannot be read: {error}"
        ) from error


def _stated_delimiter(path: str) -> str | None:
    with _opened(path) as file:
        match = _SEPARATOR.fullmatch(file.readline(16))
    return match[1] if match else None


@contextmanager
def _opened(path: str) -> Iterator[io.TextIOBase]:
    encoding = text_encoding(read_head(path, HEAD_BYTES))
    try:
        with Path(path).open(encoding=encoding, newline="") as file:
            yield file
    except OSError as error:
        raise SourceError(f"{printable(path)}: cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        line, name = _first_undecodable_line(path, encoding), encoding.upper()
        raise SourceError(
            f"{printable(path)}: line {line} is not {'UTF-8' if '8' in name else name} text; save "
            "the file as UTF-8 ('CSV UTF-8' in a spreadsheet)"
        ) from error


def _first_undecodable_line(path: str, encoding: str) -> int:
    """Number of the line in which decoding fails."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    with Path(path).open("rb") as file:
        for part in file:
            try:
                lines += decoder.decode(part).count("\n")
            except UnicodeError:
                break
    return lines
