"""The key of an image, from the column that identifies the images of a source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from cbir.metadata import plain_value

__all__ = ["key_of"]


def key_of(values: Mapping[str, Any], column: str | None) -> tuple[str, str]:
    """(key, reason why it is missing); both are empty where no column identifies images."""
    if not column:
        return "", ""
    value = values.get(column)
    if value is None or value == "":
        return "", f"has no {column!r}, which --key names"
    if isinstance(value, bool) or not isinstance(value, (str, int, float, date)):
        return "", f"{column!r} is {value!r:.60}, which is not a key: a key is a text or a number"
    return str(plain_value(value)), ""
