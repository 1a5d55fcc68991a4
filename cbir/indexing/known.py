"""What the catalogue knows of one source, small enough to keep for a million images."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids
from cbir.catalog.catalog import Catalog
from cbir.metadata import as_json
from cbir.sources import Source, SourceImage, uri_to_path
from cbir.types import FailedImage

Mask: TypeAlias = npt.NDArray[np.bool_]
Positions: TypeAlias = npt.NDArray[np.intp]
Hashes: TypeAlias = npt.NDArray[np.int64]
"""Python's own hashes, other ones in every process: a collision is gone with the next run."""


@runtime_checkable
class ListsKeys(Protocol):
    """A source that can say what it lists without looking at each image."""

    def keys(self) -> Iterator[str | FailedImage]:
        """The keys of what iterating would yield, and of more that cannot be looked at."""


class Listing:
    """The keys that a source lists: 8 bytes for each."""

    def __init__(self, source: Source) -> None:
        self.unreadable: list[str] = []
        """Where the source could not look: a folder, for example, with all that is below it."""
        self._hashes = np.unique(np.fromiter(self._walk(source), np.int64))

    def _walk(self, source: Source) -> Iterator[int]:
        for entry in source.keys() if isinstance(source, ListsKeys) else source:
            if isinstance(entry, FailedImage):
                self.unreadable.append(entry.uri)
            yield hash(entry if isinstance(entry, str) else entry.key or entry.uri)

    def __len__(self) -> int:
        return len(self._hashes)

    def holds(self, keys: Hashes) -> Mask:
        """Which of these keys are listed: (N,) → (N,)."""
        return np.isin(keys, self._hashes)


class Known:
    """A source's images as the catalogue has them, in the order of ids: some 50 bytes for each."""

    def __init__(self, catalog: Catalog | None = None, source: str = "") -> None:
        pages = [] if catalog is None else catalog.of_source(source)
        rows = np.concatenate([_array([]), *map(_array, pages)])
        self.ids: Ids = rows["id"]
        self.keys: Hashes = rows["key"]
        self.confirmed: Mask = np.zeros(len(rows), np.bool_)
        """Which were met as they are."""
        self._by_state: Positions = np.argsort(rows["state"])
        self._states: Hashes = rows["state"][self._by_state]
        self._by_content: Positions = np.argsort(rows["content"], kind="stable")
        self._contents = rows["content"][self._by_content]

    def __len__(self) -> int:
        return len(self.ids)

    def unchanged(self, page: Sequence[SourceImage | FailedImage]) -> Mask:
        """Which of these the catalogue has exactly so, metadata and time stamp included."""
        if len(self) == 0:
            return np.zeros(len(page), np.bool_)
        # A time stamp that is not known says nothing, so that the row hashes to something else.
        states = np.fromiter((_entry_state(entry) for entry in page), np.int64, len(page))
        places = np.minimum(np.searchsorted(self._states, states), len(self) - 1)
        same: Mask = self._states[places] == states
        self.confirmed[self._by_state[places[same]]] = True
        return same

    def position(self, image_id: int) -> int | None:
        """Where an image stands, or None when it is not of this source."""
        place = int(np.searchsorted(self.ids, image_id))
        return place if place < len(self) and self.ids[place] == image_id else None

    def with_content(self, content_hash: bytes) -> Positions:
        """Where the images with this content stand, ascending."""
        wanted = np.array(content_hash, "S16")
        first = np.searchsorted(self._contents, wanted)
        last = np.searchsorted(self._contents, wanted, "right")
        return self._by_content[first:last]


def below(uri: str, folders: Collection[str]) -> bool:
    """Whether a URI is one of these paths and URLs, or lies below one."""
    path = uri_to_path(uri)
    while path not in folders:
        path, slash, _ = path.rpartition("/")
        if not slash:
            return False
    return True


_ROW = np.dtype([("id", np.int64), ("key", np.int64), ("state", np.int64), ("content", "S16")])


def _array(rows: Sequence[tuple[Any, ...]]) -> npt.NDArray[np.void]:
    return np.array(
        [
            (image, hash(key), hash((key, uri or key, name, size, mtime_ns, metadata)), content)
            for image, key, uri, name, size, mtime_ns, content, metadata in rows
        ],
        _ROW,
    )


def _entry_state(entry: SourceImage | FailedImage) -> int:
    if isinstance(entry, FailedImage) or entry.version.stamp is None:
        return hash(entry.uri)
    metadata = as_json(entry.metadata)
    version = entry.version
    return hash((entry.identity, entry.uri, entry.name, version.size, version.stamp, metadata))
