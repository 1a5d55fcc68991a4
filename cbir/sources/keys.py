"""The key of an image, from the column that identifies the images of a source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from cbir.messages import shortened
from cbir.metadata import plain_value

__all__ = ["key_of"]

LONGEST_KEY = 2000
"""Longest key in characters: a key is looked up for every image of every run."""


def key_of(values: Mapping[str, Any], column: str | None) -> tuple[str, str]:
    """(key, reason why it is missing); both are empty where no column identifies images."""
    if not column:
        return "", ""
    value = values.get(column)
    if value is None or value == "":
        return "", f"has no {column!r}, which --key names"
    if isinstance(value, bool) or not isinstance(value, (str, int, float, date)):
        shown = shortened(repr(value), 60)
        return "", f"{column!r} is {shown}, which is not a key: a key is a text or a number"
    if isinstance(value, float):
        if not math.isfinite(value):  # what pandas writes for a missing number
            return "", f"has no {column!r}, which --key names"
        if value.is_integer():  # pandas makes floats of whole numbers where some are missing
            value = int(value)
    key = str(plain_value(value))
    if len(key) > LONGEST_KEY:
        return "", (
            f"{column!r} has {len(key):,} characters, which is no key: {shortened(key, 60)!r}"
        )
    return key, ""
