"""A CSV file with a header, read row by row, and plain words for what is wrong with it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cbir.errors import SourceError
from cbir.sources.paths import printable

__all__ = ["Table"]

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose header has been read."""

    path: str
    delimiter: str
    columns: tuple[str, ...]
    """Names without surrounding space; an empty one means the column has no name."""

    @classmethod
    def open(cls, path: str, *, expected: str) -> Table:
        """Read the header; the delimiter is the one that shows the expected column, if any does.

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

        A row may have more or fewer cells than there are columns. The line is the row's last.
        """
        with _opened(self.path) as file:
            rows = _rows(self.path, file, self.delimiter)
            next(rows, None)
            yield from rows


def _rows(path: str, file: io.TextIOBase, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    current: list[str] = []  # the physical lines of the row being read

    def lines() -> Iterator[str]:
        for line in file:
            current.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            # A quote left open swallows the rows after it, often to the end of the file: better
            # to stop than to take those for removed.
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
