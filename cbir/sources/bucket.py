"""A source of all images below a URL in a bucket, or in any file system that fsspec can list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from posixpath import splitext
from typing import NoReturn

from cbir.errors import ImageError, SourceError
from cbir.images import IMAGE_SUFFIXES
from cbir.sources.base import SourceImage, SourceOptions
from cbir.sources.rules import NOT_INCLUDED, ListingRules, Skipped
from cbir.types import FailedImage, ImageVersion

__all__ = ["BucketSource", "open_bucket", "refuse_website"]


def open_bucket(location: str, options: SourceOptions) -> BucketSource:
    """Open the bucket at a URL of any scheme that fsspec supports."""
    return BucketSource(location, exclude=options.exclude, include=options.include)


def refuse_website(location: str, options: SourceOptions) -> NoReturn:
    """Raise SourceError: a website offers no list of its images."""
    raise SourceError(
        f"{location}: a website cannot be listed; give a manifest (.csv, .jsonl, .parquet) of URLs"
    )


class BucketSource:
    """The objects below a URL that have an image's suffix, in the order of their names.

    The bucket is listed once per source object: open the source again to see changes. The listing
    has the size and entity tag of every object, so that unchanged ones need no request.
    """

    lists_once = True

    def __init__(
        self, url: str, *, exclude: tuple[str, ...] = (), include: tuple[str, ...] = ()
    ) -> None:
        self.uri = self.root = url.rstrip("/")
        self.rules = ListingRules(exclude, include)
        self.skipped = Skipped()
        self._listed: Sequence[tuple[str, ImageVersion]] | None = None

    def count(self) -> int:
        return len(self._images())

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        for url, version in self._images():
            if version.size == 0:
                yield FailedImage(url, "empty file")
                continue
            name = url.removeprefix(f"{self.root}/")
            yield SourceImage(url, name.rpartition("/")[2] if name == url else name, {}, version)

    def excludes(self, uri: str) -> bool:
        """Whether the rules leave out the object at a URL."""
        name = uri.removeprefix(f"{self.root}/")
        return name != uri and self.rules.pattern(name) is not None

    def _images(self) -> Sequence[tuple[str, ImageVersion]]:
        if self._listed is None:
            from cbir.sources.objects import listing

            try:
                self._listed = [entry for entry in listing(self.uri) if self._is_image(entry[0])]
            except ImageError as error:
                raise SourceError(f"{self.uri}: {error}") from error
        return self._listed

    def _is_image(self, url: str) -> bool:
        name = url.removeprefix(f"{self.root}/")
        if name != url:
            if any(part.startswith(".") for part in name.split("/")) or name.endswith("/"):
                return False
            if (pattern := self.rules.pattern(name)) is not None:
                self.skipped.excluded[pattern] += pattern != NOT_INCLUDED or _has_suffix(url)
                return False
        if not _has_suffix(url):
            self.skipped.add_file(name)
            return False
        return True


def _has_suffix(url: str) -> bool:
    return splitext(url)[1].casefold() in IMAGE_SUFFIXES
