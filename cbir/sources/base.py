"""What a source is, and what it yields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from cbir.sources.content import Content, NotModified
from cbir.sources.paths import is_remote
from cbir.sources.reading import fetch, read_uri
from cbir.types import FailedImage, ImageVersion

__all__ = ["UNKNOWN", "Source", "SourceImage"]

UNKNOWN = ImageVersion()
"""The version of an image that no listing has described and nobody has read."""


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image that may be indexed; nothing of it has been read yet."""

    uri: str
    """Absolute path, a `file://` URL where the path is not UTF-8 text, or another URL."""
    name: str
    """For people: the path relative to the source's root."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Text, numbers, booleans, dates (`datetime.date`), and lists of texts or numbers."""
    version: ImageVersion = UNKNOWN
    """As of the listing; without a stamp, reading the image tells whether it has changed."""
    key: str = ""
    """Identifies the image within its gallery; empty: its URI does."""
    place: str = field(default="", compare=False)
    """Where a manifest lists it, as `line 3`; a failure repeats it."""

    @property
    def identity(self) -> str:
        """What identifies the image within its gallery."""
        return self.key or self.uri

    def read(self) -> bytes:
        """The encoded image. Raises ImageError."""
        return read_uri(self.uri)

    def fetch(self, known: ImageVersion = UNKNOWN) -> Content | NotModified:
        """The encoded image with its version, unless a server says it is still the `known` one.

        Raises ImageError.
        """
        if self.version.stamp is None and is_remote(self.uri):
            return fetch(self.uri, known)
        data = self.read()
        if self.version.size is None:  # not every listing knows sizes
            return Content(data, replace(self.version, size=len(data)))
        return Content(data, self.version)


class Source(Protocol):
    """Somewhere images come from. May be iterated more than once, each time from its beginning."""

    uri: str
    """Identifies the source in a gallery's catalogue."""
    root: str
    """The folder that names are relative to, as a URI."""

    def count(self) -> int:
        """How much iterating will yield, by a cheaper pass. Raises SourceError."""

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        """Every image, and what should have been one; raises SourceError if it must give up."""
