"""Value types of the rows that indexing reads from and writes to the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cbir.arrays import Vectors
from cbir.types import ImageVersion, Remark


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """An image of the catalogue with the values that an indexing run compares."""

    id: int
    key: str
    uri: str
    name: str
    version: ImageVersion
    content_hash: bytes
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image to be written: a new one, or a new version of the one with the same key."""

    key: str
    """Identifies the image within its gallery: its URI, unless a source says otherwise."""
    uri: str
    name: str
    version: ImageVersion
    content_hash: bytes
    width: int
    height: int
    metadata: Mapping[str, Any]
    embedding: Vectors
    """(D,) float32, unit norm."""
    regions: Vectors | None = None
    """(R, D) float32, unit norm: embeddings of the image's regions, in a gallery with regions."""
    id: int | None = None
    """A reserved id; None for the next one. In a batch, all rows have an id or none has."""
    remarks: tuple[Remark, ...] = ()
    """What has to be known about it; one of each kind."""


@dataclass(frozen=True, slots=True)
class TouchedRow:
    """An image with unchanged content, but another location, version, name or metadata."""

    id: int
    key: str
    uri: str
    name: str
    version: ImageVersion
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FailureRow:
    """An image that could not be read; without a version, every run tries it again."""

    key: str
    uri: str
    reason: str
    version: ImageVersion | None


@dataclass(frozen=True, slots=True)
class RegionRow:
    """The embeddings of one image's regions, with the content hash they were made from."""

    image_id: int
    content_hash: bytes
    vectors: Vectors
    """(R, D) float32, unit norm."""


@dataclass(slots=True)
class Batch:
    """Rows that are committed together."""

    images: list[ImageRow] = field(default_factory=list)
    touched: list[TouchedRow] = field(default_factory=list)
    moved: list[TouchedRow] = field(default_factory=list)
    """Images that get another key; they may swap keys."""
    failures: list[FailureRow] = field(default_factory=list)

    def add(self, row: ImageRow | TouchedRow | FailureRow) -> None:
        """Append a row to the list for its type."""
        if isinstance(row, ImageRow):
            self.images.append(row)
        elif isinstance(row, TouchedRow):
            self.touched.append(row)
        else:
            self.failures.append(row)

    def __len__(self) -> int:
        return len(self.images) + len(self.touched) + len(self.moved) + len(self.failures)
