"""Stage 1: lists the source page by page, and all its keys where images may be removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from cbir.catalog.metadata.values import utf8
from cbir.errors import CbirError, SourceError, reason_of
from cbir.indexing.executor import in_lists
from cbir.metadata import as_json
from cbir.sources import RepeatedImage, Source, SourceImage, distinct
from cbir.types import FailedImage

__all__ = ["Hashes", "KeyListing", "ListsKeys", "Mask", "list_pages"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Hashes: TypeAlias = npt.NDArray[np.int64]
"""Python's hashes, which differ between processes: a collision affects one run at most."""


def list_pages(source: Source, size: int) -> Iterator[tuple[list[SourceImage | FailedImage], int]]:
    """Pages of at most `size` entries, each with the number of entries that repeat an image."""
    for entries in in_lists(_until_broken(source), size):
        page = [storable(entry) for entry in entries if not isinstance(entry, RepeatedImage)]
        yield page, len(entries) - len(page)


def _until_broken(source: Source) -> Iterator[SourceImage | FailedImage | RepeatedImage]:
    """The entries of a source. Raises SourceError for any other exception of the source."""
    try:
        yield from distinct(source)
    except CbirError:
        raise
    except Exception as error:
        reason = reason_of(error, source.uri)
        raise SourceError(f"{source.uri}: cannot be listed further: {reason}") from error


def storable(entry: SourceImage | FailedImage) -> SourceImage | FailedImage:
    """The entry with text that a database takes; a failure where that is not possible.

    Names and keys that are not UTF-8 text get escapes, the same in every run.
    """
    if isinstance(entry, FailedImage):
        texts = {name: utf8(getattr(entry, name)) for name in ("uri", "reason", "key")}
        return replace(entry, **texts)
    try:
        if utf8(entry.uri) != entry.uri:
            raise ValueError("its URI is not UTF-8 text")
        if entry.metadata:
            as_json(entry.metadata)
        if entry.name.isascii() and entry.key.isascii():
            return entry
        return replace(entry, name=utf8(entry.name), key=utf8(entry.key))
    except Exception as error:
        place = entry.uri if entry.place is None else entry.place.uri
        reason = reason_of(error, place)
        return storable(FailedImage(str(entry.uri), reason, str(entry.key)))


@runtime_checkable
class ListsKeys(Protocol):
    """A source that can list the keys of its images without reading each image's status."""

    def keys(self) -> Iterator[str | FailedImage]:
        """The keys of all images, and a failure for each entry that cannot be read now."""


class KeyListing:
    """The set of keys that a source lists, at 8 bytes each."""

    def __init__(self, source: Source) -> None:
        self.unreadable: list[str] = []
        """Entries that could not be read, for example a folder, which stands for its contents."""
        self._hashes = np.unique(np.fromiter(self._walk(source), np.int64))

    def _walk(self, source: Source) -> Iterator[int]:
        for entry in source.keys() if isinstance(source, ListsKeys) else source:
            if isinstance(entry, FailedImage):
                self.unreadable.append(entry.uri)
            yield hash(utf8(entry if isinstance(entry, str) else entry.key or entry.uri))

    def __len__(self) -> int:
        return len(self._hashes)

    def contains(self, keys: Hashes) -> Mask:
        """Mask of the keys that are listed: (N,) → (N,)."""
        return np.isin(keys, self._hashes)
