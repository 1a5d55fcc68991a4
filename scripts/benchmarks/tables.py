"""Tables of figures, printed row by row as they are measured."""

from __future__ import annotations

import re


class Table:
    """Columns by heading and format of the cells: `<40`, `9.1f`, `9.0%`, `7.2f ms`, `5.1f×`.

    Headings are as wide as the cells, and aligned as they are. A cell that is None is a dash, and
    text stands where a figure would.
    """

    def __init__(self, columns: dict[str, str]) -> None:
        self._columns = [_Column(heading, spec) for heading, spec in columns.items()]

    def print_header(self) -> None:
        print(" ".join(column.heading for column in self._columns).rstrip(), flush=True)

    def print_row(self, *cells: object) -> None:
        texts = (c.cell(cell) for c, cell in zip(self._columns, cells, strict=True))
        print(" ".join(texts).rstrip(), flush=True)


class _Column:
    def __init__(self, heading: str, spec: str) -> None:
        match = re.fullmatch(r"([<>]?)(\d+)(,?(?:\.\d+)?[fd%]?)(.*)", spec)
        assert match, f"no format of a column: {spec!r}"
        self._align = match[1] or ">"
        self._number = f"{self._align}{match[2]}{match[3]}"
        self._unit = match[4]
        self._width = int(match[2]) + len(self._unit)
        self.heading = self._padded(heading)

    def cell(self, value: object) -> str:
        if value is None:
            return self._padded("–")
        if isinstance(value, str):
            return self._padded(value)
        return f"{value:{self._number}}{self._unit}"

    def _padded(self, text: str) -> str:
        return f"{text:{self._align}{self._width}}"
