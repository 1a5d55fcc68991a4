"""Metadata of images: which values there are, and how they look as JSON.

A value is text, a number, a boolean, a date or a list of texts and numbers. Anything else becomes
text. Dates are kept as ISO 8601 text (`2026-11-23`, `2026-11-23T08:30:00`), which sorts as time
does; that a field holds dates is remembered beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from numbers import Integral, Real
from typing import Any, Literal

__all__ = ["FieldSummary", "FieldType", "Fields", "field_types", "plain", "plain_value", "type_of"]

FieldType = Literal["text", "number", "boolean", "date", "list"]
Fields = Mapping[str, frozenset[FieldType]]
"""The fields of a gallery's metadata, each with every type its values have."""


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """What one field holds, as far as its values are of one type."""

    name: str
    type: FieldType
    count: int
    """How many values there are: of a list, each of its items."""
    examples: tuple[str | float, ...]
    """The least and the greatest of numbers and dates, otherwise the first few in their order."""


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


def type_of(value: Any) -> FieldType:
    """The type of a value as a source gives it."""
    if (kind := _EXACT.get(type(value))) is not None:
        return kind
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Real):
        return "number"
    if isinstance(value, date):
        return "date"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return "list"
    return "text"


def plain_value(value: Any) -> Any:
    """A value as JSON keeps it; None for one that says nothing (None, NaN, infinity)."""
    if value is None or isinstance(value, (str, bool)) or type(value) is int:
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
    values = ((name, plain_value(value)) for name, value in metadata.items())
    return {name: value for name, value in values if value is not None}


def field_types(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str, FieldType]]:
    """Every field of these rows with every type its values have."""
    return {
        (name, type_of(value))
        for row in rows
        for name, value in row.items()
        if plain_value(value) is not None
    }
