"""The catalogue's rows of one source as hashes in memory, to compare with a listing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids
from cbir.catalog.catalog import Catalog
from cbir.indexing.listing import Hashes, Mask
from cbir.indexing.process_chunk import ContentSet
from cbir.metadata import as_json
from cbir.sources import SourceImage, uri_to_path
from cbir.types import FailedImage

__all__ = ["SourceState", "below"]

Positions: TypeAlias = npt.NDArray[np.intp]


class SourceState:
    """A source's images in the catalogue, in the order of ids, at about 50 bytes each."""

    def __init__(self, catalog: Catalog | None = None, source: str = "") -> None:
        pages = [] if catalog is None else catalog.of_source(source)
        rows = np.concatenate([_array([]), *map(_array, pages)])
        self.ids: Ids = rows["id"]
        self.keys: Hashes = rows["key"]
        self.confirmed: Mask = np.zeros(len(rows), np.bool_)
        """Mask of the images that the source has listed as unchanged so far."""
        self._by_row: Positions = np.argsort(rows["row"])
        self._rows: Hashes = rows["row"][self._by_row]
        self._by_content: Positions = np.argsort(rows["content"], kind="stable")
        self._contents = rows["content"][self._by_content]

    def __len__(self) -> int:
        return len(self.ids)

    def unchanged(self, page: Sequence[SourceImage | FailedImage]) -> Mask:
        """Mask of the page's entries that are in the catalogue with equal metadata and version."""
        if len(self) == 0:
            return np.zeros(len(page), np.bool_)
        hashes = np.fromiter((_hash_entry(entry) for entry in page), np.int64, len(page))
        places = np.minimum(np.searchsorted(self._rows, hashes), len(self) - 1)
        same: Mask = self._rows[places] == hashes
        self.confirmed[self._by_row[places[same]]] = True
        return same

    def position(self, image_id: int) -> int | None:
        """Position of an image, or None when it is not of this source."""
        position = int(np.searchsorted(self.ids, image_id))
        same = position < len(self) and self.ids[position] == image_id
        return position if same else None

    @property
    def contents(self) -> ContentSet:
        """The content hashes of all images."""
        return ContentSet(self._contents)

    def with_content(self, content_hash: bytes) -> Positions:
        """Positions of the images with this content, ascending."""
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


_ROW = np.dtype([("id", np.int64), ("key", np.int64), ("row", np.int64), ("content", "S16")])


def _array(rows: Sequence[tuple[Any, ...]]) -> npt.NDArray[np.void]:
    return np.array(
        [
            (image, hash(key), hash((key, uri or key, name, size, mtime_ns, metadata)), content)
            for image, key, uri, name, size, mtime_ns, content, metadata in rows
        ],
        _ROW,
    )


def _hash_entry(entry: SourceImage | FailedImage) -> int:
    if isinstance(entry, FailedImage) or entry.version.stamp is None:
        return hash(entry.uri)  # no row has this hash: the image must be compared in full
    metadata = as_json(entry.metadata)
    version = entry.version
    return hash((entry.identity, entry.uri, entry.name, version.size, version.stamp, metadata))
