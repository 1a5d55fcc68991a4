"""Stage 1: lists the source page by page, and all its keys where images may be removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from cbir.indexing.executor import in_lists
from cbir.sources import RepeatedImage, Source, SourceImage, distinct
from cbir.types import FailedImage

__all__ = ["Hashes", "KeyListing", "ListsKeys", "Mask", "list_pages"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Hashes: TypeAlias = npt.NDArray[np.int64]
"""Python's hashes, which differ between processes: a collision affects one run at most."""


def list_pages(source: Source, size: int) -> Iterator[tuple[list[SourceImage | FailedImage], int]]:
    """Pages of at most `size` entries, each with the number of entries that repeat an image."""
    for entries in in_lists(distinct(source), size):
        page = [entry for entry in entries if not isinstance(entry, RepeatedImage)]
        yield page, len(entries) - len(page)


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
            yield hash(entry if isinstance(entry, str) else entry.key or entry.uri)

    def __len__(self) -> int:
        return len(self._hashes)

    def contains(self, keys: Hashes) -> Mask:
        """Mask of the keys that are listed: (N,) → (N,)."""
        return np.isin(keys, self._hashes)
