"""Metadata fields as columns of a file, for tools that do not read JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from cbir.catalog.catalog_image import CatalogImage
from cbir.catalog.metadata.column_types import ColumnType
from cbir.catalog.metadata.values import as_number, utf8

PREFIX = "metadata."
"""Prefix of a field's column, so that no field collides with a column of cbir."""
MOST = 500
"""Largest number of fields with columns; `metadata` contains all fields."""

_COLUMNS: Mapping[ColumnType, tuple[str, Callable[[Any], Any]]] = {
    "text": ("string", str),
    "integer": ("int64", int),
    "number": ("double", as_number),
    "boolean": ("bool", bool),
    "date": ("date32", lambda text: _or_none(date.fromisoformat, text)),
    "time": ("timestamp[us]", lambda text: _or_none(datetime.fromisoformat, text)),
    "time in UTC": (
        "timestamp[us, tz=UTC]",
        lambda text: _or_none(datetime.fromisoformat, text),
    ),
    "texts": ("list<string>", lambda items: [str(item) for item in items]),
    "integers": ("list<int64>", lambda items: [int(item) for item in items]),
    "numbers": ("list<double>", lambda items: [as_number(item) for item in items]),
}
"""Column type → type in Parquet, and conversion from a JSON value."""


class FieldColumns:
    """The columns of those metadata fields whose values are all of one type."""

    def __init__(self, types: Mapping[str, ColumnType]) -> None:
        self._types = dict(list(types.items())[:MOST])

    @property
    def types(self) -> dict[str, str]:
        """Column name → type in Parquet."""
        return {PREFIX + name: _COLUMNS[kind][0] for name, kind in self._types.items()}

    def values(self, images: Sequence[CatalogImage]) -> list[list[Any]]:
        """The values of each column, None where an image lacks the field."""
        parsed = [_parsed(image.metadata) for image in images]
        return [
            [
                None if (value := metadata.get(name)) is None else convert(value)
                for metadata in parsed
            ]
            for name, kind in self._types.items()
            for convert in (_COLUMNS[kind][1],)
        ]


def _or_none(read: Callable[[str], date], text: str) -> date | None:
    try:
        return read(text)
    except ValueError:  # nanoseconds, which Python's dates do not have
        return None


def _parsed(text: str) -> dict[str, Any]:
    if text == "{}":
        return {}
    metadata: dict[str, Any] = json.loads(text)
    # Half a surrogate pair is valid in JSON, but not as UTF-8 text.
    if "\\ud" in text:
        metadata = _clean(metadata)
    return metadata


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {utf8(name): _clean(item) for name, item in value.items()}
    return value
