"""The protocol of image sources, and `SourceImage`, an image that a source lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from cbir.sources.content import Content, NotModified
from cbir.sources.paths import is_remote
from cbir.sources.reading import fetch, read_uri
from cbir.sources.rules import ListingRules, Skipped
from cbir.types import FailedImage, ImageVersion

__all__ = [
    "DEFAULT_COLUMN",
    "UNKNOWN",
    "RowPlace",
    "SelectiveSource",
    "Source",
    "SourceImage",
    "SourceOptions",
]

DEFAULT_COLUMN = "path"
"""The column of a manifest with paths or URLs, where no other is named."""

UNKNOWN = ImageVersion()
"""The version of an image whose size and modification time are not known yet."""


@dataclass(frozen=True, slots=True)
class RowPlace:
    """The place of a row in a manifest; its text is `line 3`."""

    manifest: str
    """URI of the file."""
    word: str
    """`line` or `row`: the unit of `number`."""
    number: int

    @property
    def uri(self) -> str:
        """A URI of the row, for rows without an image URI: `/shop/feed.csv:3`."""
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
    """Version from the listing; without a stamp, the image must be read to detect a change."""
    key: str = ""
    """Identifies the image within its gallery; empty if the URI identifies it."""
    place: RowPlace | None = field(default=None, compare=False)
    """The manifest row that lists the image, for failure messages."""

    @property
    def identity(self) -> str:
        """The key of the image within its gallery."""
        return self.key or self.uri

    def read(self) -> bytes:
        """Read the encoded image. Raises ImageError. A new kind of source overrides this alone."""
        return read_uri(self.uri)

    def fetch(self, previous: ImageVersion = UNKNOWN) -> Content | NotModified:
        """Read the image and its version; NotModified if a server says it is still `previous`.

        Raises ImageError.
        """
        overridden = type(self).read is not SourceImage.read
        if self.version.stamp is None and not overridden and is_remote(self.uri):
            return fetch(self.uri, previous)
        data = self.read()
        if self.version.size is None:  # not every listing knows sizes
            return Content(data, replace(self.version, size=len(data)))
        return Content(data, self.version)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options for opening a source; each source uses those that apply to it."""

    image_column: str = DEFAULT_COLUMN
    """Column of a manifest with the paths or URLs of images."""
    key: str | None = None
    """Column of a manifest, or field in a tar, that identifies an image; see `ManifestSource`."""
    exclude: tuple[str, ...] = ()
    """Patterns, as in a .gitignore, of files and folders that are not listed; see `rules`."""
    include: tuple[str, ...] = ()
    """Patterns of which a file must match one; if empty, all files are listed."""


@runtime_checkable
class SelectiveSource(Protocol):
    """A source that lists only some of the files at its place, by `ListingRules`."""

    rules: ListingRules
    skipped: Skipped
    """What its last complete listing has left out."""

    def excludes(self, uri: str) -> bool:
        """Whether the rules leave out the image at a URI."""


class Source(Protocol):
    """A place that lists images. It can be iterated more than once.

    A source whose entries cannot repeat an image may declare `lists_once = True`; in other sources
    `cbir.sources.distinct` finds repeated entries.
    """

    uri: str
    """Identifies the source in a gallery's catalogue."""
    root: str
    """The folder that names are relative to, as a URI."""

    def count(self) -> int:
        """Number of entries that iteration yields, by a cheaper pass. Raises SourceError."""

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        """Yield every image, and a FailedImage for each entry that should be an image but is not.

        Raises SourceError when the source cannot be read further.
        """
