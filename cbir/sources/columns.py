"""Infers the column types of a text file (CSV) from all cells of each column.

A column holds numbers, booleans, dates or lists if every cell that is not empty can be read as one;
otherwise it stays text. Text that a number would not reproduce stays text: `00123`, `1e5`, `+7`
and whole numbers of 16 digits or more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timezone
from typing import Any

from cbir.metadata import FieldType

__all__ = ["ColumnTypes", "is_empty"]

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?", re.ASCII)
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ](\d\d:\d\d)(:\d\d)?(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_TRUTH = {"true": True, "false": False}


class ColumnTypes:
    """The type of every column, in two passes: `see` every cell, then `read` each."""

    def __init__(self, kinds: Iterable[FieldType] | None = None) -> None:
        """`kinds` are the types that text may be read as; by default all."""
        self._kinds = {kind: _READERS[kind] for kind in kinds or _READERS}
        self._of: dict[str, FieldType] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns seen so far."""
        return tuple(self._of)

    def see(self, name: str, cell: Any) -> None:
        """Take a cell into account. A cell that is not text makes `read` return cells unchanged."""
        kind = self._of.get(name)
        if kind == "text":
            return
        if not isinstance(cell, str):
            self._of[name] = "text"
        elif kind is None:
            self._of[name] = next(
                (k for k, read in self._kinds.items() if read(cell) is not None), "text"
            )
        elif self._kinds[kind](cell) is None:
            self._of[name] = "text"

    def read(self, name: str, cell: Any) -> Any:
        """The value of a cell, converted to the type of its column."""
        kind = self._of.get(name, "text")
        return cell if kind == "text" or not isinstance(cell, str) else self._kinds[kind](cell)


def is_empty(cell: Any) -> bool:
    """Whether a cell is empty: None, or text of white space alone."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _number(text: str) -> int | float | None:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    return float(match[0]) if match[2] else int(match[0])


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
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "list": _list,
}
"""Parsers, which return None for text of another type. No text has two types, so that the first
cell determines the only candidate."""
