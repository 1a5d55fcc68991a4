"""All images below a URL of a bucket, or of anything else that fsspec can list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from posixpath import splitext

from cbir.errors import ImageError, SourceError
from cbir.images import IMAGE_SUFFIXES
from cbir.sources.base import SourceImage
from cbir.types import FailedImage, ImageVersion

__all__ = ["BucketSource"]


class BucketSource:
    """The objects below a URL whose names are an image's, in the order of their names.

    The bucket is listed once: open the source again to see what has changed. A listing tells of
    every object its size and entity tag, so that unchanged ones are not asked for.
    """

    lists_once = True

    def __init__(self, url: str) -> None:
        self.uri = self.root = url.rstrip("/")
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
        hidden = name != url and any(part.startswith(".") for part in name.split("/"))
        return splitext(url)[1].casefold() in IMAGE_SUFFIXES and not hidden
