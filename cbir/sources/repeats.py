"""Finds entries of a source that repeat an image of an earlier entry."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cbir.messages import shortened
from cbir.sources.base import Source, SourceImage
from cbir.types import FailedImage

__all__ = ["RepeatedImage", "distinct"]


@dataclass(frozen=True, slots=True)
class RepeatedImage:
    """An entry that repeats an earlier one: same image, same metadata. It needs no work."""

    uri: str


def distinct(source: Source) -> Iterator[SourceImage | FailedImage | RepeatedImage]:
    """Iterate over a source so that no two SourceImages have the same key.

    The first entry with a key is used. A later one becomes a RepeatedImage if it lists the same
    image with the same metadata, and otherwise a FailedImage that says which entry was used. The
    number of entries stays the same.
    """
    if getattr(source, "lists_once", False):
        yield from source
        return
    first = _FirstEntries()
    for entry in source:
        if isinstance(entry, FailedImage):
            yield entry
            continue
        earlier = first.add(entry)
        if earlier is None:
            yield entry
        elif earlier.same:
            yield RepeatedImage(entry.uri)
        else:
            yield _conflict(entry, earlier, getattr(source, "key", None))


@dataclass(frozen=True, slots=True)
class _EarlierEntry:
    """An earlier entry that is used instead of a later one with the same key."""

    name: str
    """`line 3`, or the image's name."""
    same: bool
    """Whether the later entry has the same image and metadata."""


class _FirstEntries:
    """The first entry of every key, stored as hashes: about 150 bytes each."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._hashes = array("q")
        self._names: list[int | str] = []

    def add(self, image: SourceImage) -> _EarlierEntry | None:
        """Record an image; returns the earlier entry with the same key, or None."""
        entry_hash = hash((image.uri, image.version.size, _text(image.metadata)))
        number = self._numbers.setdefault(hash(image.identity), len(self._names))
        if number == len(self._names):
            self._hashes.append(entry_hash)
            self._names.append(image.name if image.place is None else image.place.number)
            return None
        name = self._names[number]
        if isinstance(name, int):
            name = f"{'row' if image.place is None else image.place.word} {name}"
        return _EarlierEntry(name, self._hashes[number] == entry_hash)


def _text(metadata: Mapping[str, Any]) -> str:
    try:
        return repr(metadata)
    except Exception:  # a value without a text; indexing reports it
        return ""


def _conflict(image: SourceImage, earlier: _EarlierEntry, column: str | None) -> FailedImage:
    """The failure of a later entry with the same key, identified by its row instead."""
    if image.key:
        shown = shortened(image.key)
        reason = f"the {column or 'key'} {shown!r} stands in {earlier.name}, which was taken"
    elif image.place is None:
        reason = f"the same path stands in {earlier.name}, which was taken"
    else:
        reason = (
            f"the same path stands in {earlier.name} with other metadata; {earlier.name} was "
            "taken, --key COLUMN (key=...) keeps both"
        )
    return FailedImage(image.uri if image.place is None else image.place.uri, reason)
