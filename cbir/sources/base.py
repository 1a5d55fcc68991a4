"""The interface of a source of images, and the image that it lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from cbir.sources.content import Content, NotModified
from cbir.sources.paths import is_remote
from cbir.sources.reading import fetch, read_uri
from cbir.types import FailedImage, ImageVersion

__all__ = ["UNKNOWN", "RowPlace", "Source", "SourceImage", "SourceOptions"]

UNKNOWN = ImageVersion()
"""The version of an image that no listing has described and nobody has read."""


@dataclass(frozen=True, slots=True)
class RowPlace:
    """A row of a manifest; as text `line 3`."""

    manifest: str
    """URI of the file."""
    word: str
    """`line` or `row`: the unit of `number`."""
    number: int

    @property
    def uri(self) -> str:
        """The row as a URI, for what has none of its own: `/shop/feed.csv:3`."""
        return f"{self.manifest}:{self.number}"

    def __str__(self) -> str:
        return f"{self.word} {self.number}"


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image that a source lists; it has not been read yet."""

    uri: str
    """Absolute path, a `file://` URL where the path is not UTF-8 text, or another URL."""
    name: str
    """The path relative to the source's root, for display."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Text, numbers, booleans, dates (`datetime.date`), and lists of texts or numbers."""
    version: ImageVersion = UNKNOWN
    """As of the listing; without a stamp, reading the image tells whether it has changed."""
    key: str = ""
    """Identifies the image within its gallery; empty where its URI does."""
    place: RowPlace | None = field(default=None, compare=False)
    """The row of a manifest that lists it, which is named if it fails."""

    @property
    def identity(self) -> str:
        """The key of the image within its gallery."""
        return self.key or self.uri

    def read(self) -> bytes:
        """The encoded image. Raises ImageError. All that a source of its own need override."""
        return read_uri(self.uri)

    def fetch(self, known: ImageVersion = UNKNOWN) -> Content | NotModified:
        """The encoded image with its version, unless a server says it is still the `known` one.

        Raises ImageError.
        """
        overridden = type(self).read is not SourceImage.read
        if self.version.stamp is None and not overridden and is_remote(self.uri):
            return fetch(self.uri, known)
        data = self.read()
        if self.version.size is None:  # not every listing knows sizes
            return Content(data, replace(self.version, size=len(data)))
        return Content(data, self.version)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of opening a source; each source uses those that concern it."""

    image_column: str = "path"
    """Column of a manifest with the paths or URLs of images."""
    key: str | None = None
    """Column (in tars the field) that identifies an image; see `ManifestSource`."""


class Source(Protocol):
    """A place that images come from. It can be iterated more than once.

    A source whose entries cannot repeat an image may say so by an attribute `lists_once = True`;
    of the others, `cbir.sources.distinct` finds the repetitions.
    """

    uri: str
    """Identifies the source in a gallery's catalogue."""
    root: str
    """The folder that names are relative to, as a URI."""

    def count(self) -> int:
        """Number of entries that iterating yields, by a cheaper pass. Raises SourceError."""

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        """Every image, and a failure for each entry that should be one and is not.

        Raises SourceError when the source cannot be read on.
        """
