"""Finds entries of a source that list an image which an earlier entry lists already."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from cbir.sources.base import Source, SourceImage
from cbir.types import FailedImage

__all__ = ["RepeatedImage", "distinct"]


@dataclass(frozen=True, slots=True)
class RepeatedImage:
    """An entry that says of an image what an earlier entry says: nothing is left to be done."""

    uri: str


def distinct(source: Source) -> Iterator[SourceImage | FailedImage | RepeatedImage]:
    """The entries of a source, in which no two images have one key: as many as iterating yields.

    The first entry with a key is taken. A later one is a RepeatedImage if it lists the same image
    with the same metadata, and otherwise a FailedImage that says which entry was taken.
    """
    if getattr(source, "lists_once", False):
        yield from source
        return
    first = _FirstEntries()
    for entry in source:
        if isinstance(entry, FailedImage):
            yield entry
            continue
        taken = first.add(entry)
        if taken is None:
            yield entry
        elif taken.same:
            yield RepeatedImage(entry.uri)
        else:
            yield _conflict(entry, taken, getattr(source, "key", None))


@dataclass(frozen=True, slots=True)
class _Taken:
    """The entry that was taken instead of a later one with its key."""

    name: str
    """`line 3`, or the image's name."""
    same: bool
    """Whether the later entry says the same."""


class _FirstEntries:
    """The first entry of every key, as hashes: some 150 bytes for each."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._statements = array("q")
        self._names: list[int | str] = []

    def add(self, image: SourceImage) -> _Taken | None:
        """Note an image; the entry that has its key already, if there is one."""
        statement = hash((image.uri, image.version.size, repr(image.metadata)))
        number = self._numbers.setdefault(hash(image.identity), len(self._names))
        if number == len(self._names):
            self._statements.append(statement)
            self._names.append(image.name if image.place is None else image.place.number)
            return None
        name = self._names[number]
        if isinstance(name, int):
            name = f"{'row' if image.place is None else image.place.word} {name}"
        return _Taken(name, self._statements[number] == statement)


def _conflict(image: SourceImage, taken: _Taken, column: str | None) -> FailedImage:
    """A second entry with one key. It is known by its row: the key is that of the first one."""
    if image.key:
        reason = f"the {column or 'key'} {image.key!r} stands in {taken.name}, which was taken"
    elif image.place is None:
        reason = f"the same path stands in {taken.name}, which was taken"
    else:
        reason = (
            f"the same path stands in {taken.name} with other metadata; {taken.name} was taken, "
            "--key COLUMN (key=...) keeps both"
        )
    return FailedImage(image.uri if image.place is None else image.place.uri, reason)
