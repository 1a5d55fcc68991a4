"""Metadata of images: the types of values, and their form in JSON.

A value is text, a number, a boolean, a date or a list of texts and numbers. Anything else becomes
text. Dates are stored as ISO 8601 text (`2026-11-23`, `2026-11-23T08:30:00`), which sorts in time
order; the type of each field is stored separately.
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
    "NumberCoverage",
    "as_json",
    "plain",
    "plain_value",
    "type_of",
    "type_of_class",
]

FieldType = Literal["text", "number", "boolean", "date", "list"]
Fields = Mapping[str, frozenset[FieldType]]
"""The metadata fields of a gallery, each with all types that occur among its values."""


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """Summary of the values of one type in one field: their number and a few examples."""

    name: str
    type: FieldType
    count: int
    """Number of values; each item of a list counts."""
    examples: tuple[str | float, ...]
    """Least and greatest value of numbers and dates; the first few, sorted, of other types."""


@dataclass(frozen=True, slots=True)
class NumberCoverage:
    """How many images have a number in a field; its text says so."""

    field: str
    images: int
    """Number of images in the gallery."""
    numbers: int
    """Images with a number in the field."""
    others: int
    """Images with a text in it instead, as `9,50` or `on request`."""
    example: str = ""
    """One of these texts."""

    def __str__(self) -> str:
        missing = self.images - self.numbers - self.others
        parts = [f"{self.numbers:,} of {self.images:,} images have a number in {self.field!r}"]
        if self.others:
            parts.append(f"{self.others:,} {_have(self.others)} text, as {self.example!r}")
        if missing > 0:
            parts.append(f"{missing:,} {_have(missing)} nothing")
        return ", ".join(parts)


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


@dataclass(frozen=True, slots=True)
class Facet:
    """Counts of the values of one type in one field."""

    name: str
    type: FieldType
    count: int
    """Number of values; each item of a list counts."""
    distinct: int
    """Number of different values."""
    values: tuple[tuple[str | float | bool, int], ...] = ()
    """The most frequent values and their counts; empty for numbers and dates."""
    least: str | float | None = None
    greatest: str | float | None = None
    """Range of numbers and dates; None for other types."""
    histogram: tuple[tuple[str | float, int], ...] = ()
    """Histogram of numbers and dates: lower edge and count of each bin. All bins are equally wide;
    there are none where all values are equal."""


# Nearly all values have one of these types; an abstract-class check takes ten times as long.
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
    """The metadata type of a value, as a source yields it."""
    return type_of_class(type(value))


def type_of_class(kind: type) -> FieldType:
    """The metadata type of instances of a class."""
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
    """A value in its JSON form; None for a missing value (None, NaN, infinity)."""
    if value is None or value.__class__ in _PLAIN or isinstance(value, str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        # All in UTC, so that text order is time order.
        return (value.astimezone(timezone.utc) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [inner for item in value if (inner := plain_value(item)) is not None]
    return str(value)


def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata in its JSON form; fields with missing values are left out."""
    if all(value.__class__ in _PLAIN for value in metadata.values()):
        return dict(metadata)
    values = ((name, plain_value(value)) for name, value in metadata.items())
    return {name: value for name, value in values if value is not None}


def as_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as the JSON text that the catalogue stores."""
    return json.dumps(plain(metadata)) if metadata else "{}"
