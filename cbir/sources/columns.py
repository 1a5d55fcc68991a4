"""Infers the column types of a text file (CSV) from all cells of each column.

A column holds booleans, dates or lists if every cell that is not missing can be read as one, and
numbers if nearly every one can (`cbir.sources.numbers`); otherwise it stays text. Text that a
number would not reproduce stays text: `00123`, `1e5`, `+7`, whole numbers of 16 digits or more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timezone
from typing import Any

from cbir.metadata import FieldType
from cbir.sources.numbers import NumberColumn, plain_number

__all__ = ["ColumnTypes", "is_empty"]

PANDAS_MISSING = frozenset({"nan", "NaN", "NaT", "<NA>"})
"""What pandas writes for a missing value; in no column a value."""
MISSING = PANDAS_MISSING | {"NA", "N/A", "n/a", "#N/A", "null", "NULL", "None"}
"""What programs write for a missing value; in a column of text they may be words."""
LONGEST_MISSING = 12
"""Longer cells, with spaces around, are not looked up among them."""

_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ](\d\d:\d\d)(:\d\d)?(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_TRUTH = {"true": True, "false": False}


class ColumnTypes:
    """The type of every column, in two passes: `see` every cell, then `read` each."""

    def __init__(self, kinds: Iterable[FieldType] | None = None) -> None:
        """`kinds` are the types that text may be read as, where the format has the others.

        By default text may be of any type, and some texts stand for missing values.
        """
        self._kinds = {kind: _READERS[kind] for kind in kinds or _READERS}
        self._missing = MISSING if kinds is None else frozenset[str]()
        self._always_missing = PANDAS_MISSING & self._missing
        self._readers: dict[str, Callable[[str], Any]] = {}
        self._of: dict[str, FieldType | None] = {}
        self._numbers: dict[str, NumberColumn] = {}
        """Of columns that began with a number or a text, and may turn out to be numbers."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns seen so far."""
        return tuple(self._of)

    def see(self, name: str, cell: Any) -> None:
        """Take a cell into account. A cell that is not text makes `read` return cells unchanged."""
        kind = self._of.get(name)
        if kind == "text" and name not in self._numbers:
            return
        if not isinstance(cell, str):
            self._of[name] = "text"
            self._numbers.pop(name, None)
            return
        if len(cell) < LONGEST_MISSING and cell.strip() in self._missing:
            self._of.setdefault(name, None)
            return
        if kind is None:
            kind = next((k for k, read in self._kinds.items() if read(cell) is not None), "text")
            self._of[name] = kind
            if "number" in self._kinds and kind in ("number", "text"):
                self._numbers[name] = NumberColumn()
        if (numbers := self._numbers.get(name)) is None:
            if kind not in ("text", None) and self._kinds[kind](cell) is None:
                self._of[name] = "text"
        else:
            numbers.see(cell)
            if numbers.hopeless:
                del self._numbers[name]
                self._of[name] = "text"

    def read(self, name: str, cell: Any) -> Any:
        """The value of a cell, converted to the type of its column; None for a missing value."""
        if not isinstance(cell, str):
            return cell
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = self._reader_of(name)
        missing = self._always_missing if reader is _as_it_is else self._missing
        if len(cell) < LONGEST_MISSING and cell.strip() in missing:
            return None
        return reader(cell)

    def _reader_of(self, name: str) -> Callable[[str], Any]:
        """The function that reads the cells of a column, once all were seen."""
        numbers = self._numbers.get(name)
        if numbers is not None:
            return numbers.reader() if numbers.holds_numbers else _as_it_is
        kind = self._of.get(name, "text")
        if kind is None:
            return _nothing  # all cells stand for missing values
        return _as_it_is if kind == "text" else self._kinds[kind]

    def read_key(self, name: str, cell: str) -> str:
        """The text of a cell that names or identifies something: `1001` where pandas wrote 1001.0.

        Empty for a missing value.
        """
        text = cell.strip()
        if text in self._always_missing:
            return ""
        numbers = self._numbers.get(name)
        return text.removesuffix(".0") if numbers is not None and numbers.made_whole else cell


def _as_it_is(cell: str) -> str:
    return cell


def _nothing(cell: str) -> None:
    return None


def is_empty(cell: Any) -> bool:
    """Whether a cell is empty: None, or text of white space alone."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _boolean(text: str) -> bool | None:
    return _TRUTH.get(text.strip().casefold())


def _date(text: str) -> date | None:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    day, time, minutes, seconds, fraction, zone = match.groups()
    try:
        if time is None:
            return date.fromisoformat(day)
        # Spelled out: Python 3.10 reads neither Z nor fractions of any length.
        parts = day, "T", minutes, seconds or ":00", (fraction or ".0").ljust(7, "0")
        moment = datetime.fromisoformat("".join(parts) + (zone or "").replace("Z", "+00:00"))
        return moment.astimezone(timezone.utc) if zone else moment
    except (ValueError, OverflowError):
        return None


def _list(text: str) -> list[str | int | float] | None:
    """A JSON list of texts and numbers."""
    if not text.strip().startswith("["):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    plain = all(isinstance(i, (str, int, float)) and not isinstance(i, bool) for i in items)
    return items if plain else None


_READERS: Mapping[FieldType, Callable[[str], Any]] = {
    "number": plain_number,
    "boolean": _boolean,
    "date": _date,
    "list": _list,
}
"""Parsers, which return None for text of another type. No text has two types, so that the first
cell determines the only candidate."""
