"""What a source is, and what it yields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cbir.sources.paths import read_file, uri_to_path
from cbir.types import FailedImage

__all__ = ["Source", "SourceImage"]


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image that may be indexed; nothing of it has been read yet."""

    uri: str
    """Absolute path, a `file://` URL where the path is not UTF-8 text, or another URL."""
    name: str
    """For people: the path relative to the source's root."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Text, numbers, booleans, dates (`datetime.date`), and lists of texts or numbers."""
    size: int | None = None
    """Bytes, as of the listing."""
    mtime_ns: int | None = None
    """When it was last changed, in nanoseconds since 1970, as of the listing."""
    key: str = ""
    """Identifies the image within its gallery; empty: its URI does."""

    @property
    def identity(self) -> str:
        """What identifies the image within its gallery."""
        return self.key or self.uri

    def read(self) -> bytes:
        """The encoded image. Raises ImageError."""
        return read_file(uri_to_path(self.uri))


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
