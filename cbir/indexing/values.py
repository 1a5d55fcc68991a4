"""The values that pass from stage to stage of an indexing run.

    SourceImage → PendingImage → ImageTask → (chunk, by an executor) → ChunkResult → ImageChange

An ImageTask and everything in a ChunkResult can be pickled and sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from cbir.arrays import Vectors
from cbir.catalog.rows import FailureRow, ImageRow, IndexedImage, TouchedRow
from cbir.sources import SourceImage
from cbir.sources.base import UNKNOWN
from cbir.sources.content import Content, NotModified
from cbir.types import FailedImage, ImageVersion, Remark

__all__ = [
    "ChangeKind",
    "CheckedImage",
    "ChunkResult",
    "ContentMatch",
    "EmbeddedImage",
    "ImageChange",
    "ImageTask",
    "PendingImage",
    "UnchangedImage",
    "UnreadableImage",
]


@dataclass(frozen=True, slots=True)
class ImageTask:
    """One image to be read and embedded, with the version and content that were indexed."""

    image: SourceImage | bytes
    """The listed image, or its encoded bytes if they have been read already."""
    version: ImageVersion = UNKNOWN
    """The indexed version, which a server need not send again."""
    content_hash: bytes | None = None
    """The indexed content hash; if it is unchanged, the image is not decoded."""
    match: bool = False
    """Whether to look for the content among the source's other images before decoding it."""

    @property
    def uri(self) -> str:
        """The image's URI, for messages."""
        return "an image" if isinstance(self.image, bytes) else self.image.uri

    def read(self) -> Content | NotModified:
        """Read the image; NotModified if a server says it is unchanged. Raises ImageError."""
        if isinstance(self.image, bytes):
            return Content(self.image, ImageVersion(len(self.image)))
        return self.image.fetch(self.version)


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image that was read, decoded and embedded."""

    content_hash: bytes
    version: ImageVersion
    width: int
    height: int
    embedding: Vectors
    """(D,) float32, unit norm."""
    regions: Vectors | None = None
    """(R, D) float32, unit norm, in a gallery that has regions."""
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """The result in a plan for an image that would be embedded: its header is readable."""


@dataclass(frozen=True, slots=True)
class UnchangedImage:
    """An image whose content is unchanged since it was indexed."""

    version: ImageVersion
    modified: bool = True
    """False if the server reported it as not modified, without sending the image."""


@dataclass(frozen=True, slots=True)
class MatchedImage:
    """An image that was not embedded, because another image of the source has its content."""

    content_hash: bytes
    version: ImageVersion


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """An image that could not be read or decoded, and why."""

    reason: str
    version: ImageVersion | None = None
    """The version that cannot be decoded; None if the image could not be read."""


ChunkResult: TypeAlias = (
    EmbeddedImage | CheckedImage | UnchangedImage | MatchedImage | UnreadableImage
)
"""Result of one ImageTask."""


@dataclass(frozen=True, slots=True)
class PendingImage:
    """An image of the source that must be read, with its row in the catalogue if there is one."""

    image: SourceImage
    indexed: IndexedImage | None = None
    failure: FailureRow | None = None
    """Its failure in the catalogue, if any."""
    match: bool = False
    """Whether it may be another image of the source that has moved here."""
    reread: bool = False
    """Whether it must be read, even if a server says that it has not changed."""
    embedded: EmbeddedImage | None = None
    """Its result, if it has been embedded already and was found to be a copy."""

    @property
    def before(self) -> FailureRow | IndexedImage | None:
        """The row that records the last read at this URI."""
        if self.failure is not None and self.failure.version is not None:
            return self.failure
        elsewhere = self.indexed is None or self.indexed.uri != self.image.uri
        return None if elsewhere else self.indexed

    def task(self) -> ImageTask:
        """The task for an executor."""
        before = None if self.reread else self.before
        version = None if before is None else before.version
        content_hash = None if self.indexed is None else self.indexed.content_hash
        return ImageTask(self.image, version or UNKNOWN, content_hash, self.match)


@dataclass(frozen=True, slots=True)
class ContentMatch:
    """An image with the content of another image of the source: moved from there, or a copy."""

    pending: PendingImage
    content_hash: bytes
    version: ImageVersion
    embedded: EmbeddedImage | None = None
    """Its embedding, if the executor has computed one anyway."""

    @property
    def image(self) -> SourceImage:
        return self.pending.image

    @property
    def indexed(self) -> IndexedImage | None:
        return self.pending.indexed

    def as_copy(self, indexed: IndexedImage | None) -> PendingImage:
        """The image as a pending one to be embedded, replacing `indexed`."""
        return replace(self.pending, indexed=indexed, match=False, embedded=self.embedded)


ChangeKind = Literal["added", "updated", "touched", "unchanged", "moved", "failed"]
"""`touched` means other metadata, name or location of unchanged content under the same key."""


@dataclass(frozen=True, slots=True)
class ImageChange:
    """The outcome of one image, and the row to be written, if any."""

    kind: ChangeKind
    name: str
    row: ImageRow | TouchedRow | FailureRow | None = None
    failure: FailedImage | None = None
