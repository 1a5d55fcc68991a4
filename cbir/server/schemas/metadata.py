"""Metadata in a request: a JSON object of texts, numbers, booleans and lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cbir.server.problem import Problem

__all__ = ["checked_metadata", "parse_metadata"]

MOST_CHARACTERS = 20_000
"""Length of one value as JSON."""


def parse_metadata(text: str) -> dict[str, Any]:
    """The metadata in a JSON object, without fields that are null. Raises Problem (422)."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(422, "metadata is not valid JSON") from error
    if not isinstance(values, dict):
        raise Problem(422, "metadata is not a JSON object; give {} for no metadata")
    checked = checked_metadata(values)
    return {field: value for field, value in checked.items() if value is not None}


def checked_metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, each of which metadata can hold, or None. Raises Problem (422)."""
    for field, value in values.items():
        if not _is_text(field):
            raise Problem(422, f"metadata {field!a}: the name of a field must be valid Unicode")
        if value is not None and not _is_storable(value):
            raise Problem(
                422, f"metadata {field}: give a text, a number, a boolean, or a list of them"
            )
    return dict(values)


def _is_storable(value: Any) -> bool:
    """Whether it is a text, a number, a boolean, or a list of texts and numbers, and not long."""
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        if isinstance(part, bool) and isinstance(value, list):
            return False
        if not (isinstance(part, (int, float)) or _is_text(part)):
            return False
    return len(json.dumps(value)) <= MOST_CHARACTERS


def _is_text(value: object) -> bool:
    """Whether it is text that can be encoded: JSON can spell half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
