"""Metadata of images: the types of values, and their form in JSON.

A value is text, a number, a boolean, a date or a list of texts and numbers. Anything else becomes
text. Dates are kept as ISO 8601 text (`2026-11-23`, `2026-11-23T08:30:00`), which sorts as time
does; that a field holds dates is remembered beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from numbers import Integral, Real
from typing import Any, Literal

__all__ = [
    "Facet",
    "FieldSummary",
    "FieldType",
    "Fields",
    "as_json",
    "plain",
    "plain_value",
    "type_of",
    "type_of_class",
]

FieldType = Literal["text", "number", "boolean", "date", "list"]
Fields = Mapping[str, frozenset[FieldType]]
"""The fields of a gallery's metadata, each with every type its values have."""


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """The values of one type in one field: their number and a few examples."""

    name: str
    type: FieldType
    count: int
    """Number of values; each item of a list counts."""
    examples: tuple[str | float, ...]
    """The least and the greatest of numbers and dates, otherwise the first few in their order."""


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one field counted, as far as they are of one type."""

    name: str
    type: FieldType
    count: int
    """Number of values; each item of a list counts."""
    distinct: int
    """Number of different values."""
    values: tuple[tuple[str | float | bool, int], ...] = ()
    """The most frequent ones and how often they are there; not of numbers and dates."""
    least: str | float | None = None
    greatest: str | float | None = None
    """Of numbers and dates."""
    histogram: tuple[tuple[str | float, int], ...] = ()
    """Of numbers and dates: where each bar begins, and how many values lie in it; the bars are of
    one width, and there are none where all values are the same."""


# Nearly all values are of these; asking the abstract classes takes ten times as long.
_EXACT: Mapping[type, FieldType] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    date: "date",
    datetime: "date",
    list: "list",
    tuple: "list",
}

_PLAIN = frozenset({str, bool, int})


def type_of(value: Any) -> FieldType:
    """The type of a value as a source gives it."""
    return type_of_class(type(value))


def type_of_class(kind: type) -> FieldType:
    """The type of the values of a class."""
    if kind in _EXACT:
        return _EXACT[kind]
    if issubclass(kind, bool):
        return "boolean"
    if issubclass(kind, Real):
        return "number"
    if issubclass(kind, date):
        return "date"
    if issubclass(kind, Sequence) and not issubclass(kind, (str, bytes)):
        return "list"
    return "text"


def plain_value(value: Any) -> Any:
    """A value as JSON keeps it; None for one that says nothing (None, NaN, infinity)."""
    if value is None or value.__class__ in _PLAIN or isinstance(value, str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        # One clock for all, so that the order of texts is the order of time.
        return (value.astimezone(timezone.utc) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [inner for item in value if (inner := plain_value(item)) is not None]
    return str(value)


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as JSON keeps it; fields that say nothing are left out."""
    if all(value.__class__ in _PLAIN for value in metadata.values()):
        return dict(metadata)
    values = ((name, plain_value(value)) for name, value in metadata.items())
    return {name: value for name, value in values if value is not None}


def as_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as the JSON text that the catalogue keeps."""
    return json.dumps(plain(metadata)) if metadata else "{}"
