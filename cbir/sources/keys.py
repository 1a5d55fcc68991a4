"""What identifies the images of a source: their place, or a value that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from cbir.metadata import plain_value

__all__ = ["Identities", "key_of"]


def key_of(values: Mapping[str, Any], column: str | None) -> tuple[str, str]:
    """The key of an image, and why it has none; both empty where its place identifies it."""
    if not column:
        return "", ""
    value = values.get(column)
    if value is None or value == "":
        return "", f"has no {column!r}, which --key names"
    if isinstance(value, bool) or not isinstance(value, (str, int, float, date)):
        return "", f"{column!r} is {value!r:.60}, which is no key: a key is a text or a number"
    return str(plain_value(value)), ""


class Identities:
    """Where each identity was met first; a hundred bytes for each of them."""

    def __init__(self) -> None:
        self._first: dict[int, str | int] = {}

    def met(self, identity: str, place: int | str) -> int | str | None:
        """Where an identity was met before; None where this is its first place."""
        number = hash(identity)
        if number in self._first:
            return self._first[number]
        self._first[number] = place
        return None
