"""A manifest: a CSV, JSON Lines or Parquet file whose rows name images and their metadata."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from urllib.parse import urljoin

from cbir.errors import ImageError, SourceError, reason_of
from cbir.sources.base import RowPlace, SourceImage, SourceOptions
from cbir.sources.keys import key_of
from cbir.sources.local_copy import LocalCopy
from cbir.sources.paths import is_remote, path_to_uri, printable, uri_to_path
from cbir.sources.rows import Row, RowReader, open_rows
from cbir.sources.tar_index import member_path, member_version
from cbir.types import FailedImage, ImageVersion

__all__ = ["ManifestSource", "open_manifest"]

_LIKELY = re.compile("path|file|img|image|photo|picture|url", re.IGNORECASE)


def open_manifest(location: str, options: SourceOptions) -> ManifestSource:
    """Open the manifest at a path or URL."""
    return ManifestSource(location, image_column=options.image_column, key=options.key)


class ManifestSource:
    """The images that a CSV, JSON Lines or Parquet file lists; other columns become metadata.

    An image is given by a path, relative to the file's folder, or by a URL.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        image_column: str = "path",
        key: str | None = None,
    ) -> None:
        """`key` is the column that identifies an image; if empty, its path or URL does.

        None means the column that the gallery has stored for this file, if any.
        """
        self.uri = path_to_uri(path)
        self.key = key
        self.image_column = image_column
        self._copy = LocalCopy(self.uri)
        self._opened: tuple[tuple[int, int], RowReader] | None = None
        if is_remote(self.uri):
            self._folder = self.root = self.uri.rpartition("/")[0]
        else:
            self._folder = str(Path(uri_to_path(self.uri)).parent)
            self.root = path_to_uri(self._folder)

    def with_key(self, key: str) -> ManifestSource:
        """The same source, its images identified by another column."""
        other = copy(self)
        other.key = key
        if key or self.key:  # a key column is read as text
            other._opened = None
        return other

    def count(self) -> int:
        return self._rows().count()

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        rows = self._rows()
        for row in rows:
            place = RowPlace(self.uri, rows.word, row.number)
            try:
                entry = self._image(row, place)
            except Exception as error:  # such as a path that no file system takes
                entry = FailedImage(place.uri, f"row cannot be read: {reason_of(error, place.uri)}")
            yield entry

    def _rows(self) -> RowReader:
        """The rows of the file; column types are inferred again when the file has changed."""
        path = self._copy.path()
        try:
            status = os.stat(path)  # noqa: PTH116  (need not be UTF-8)
        except OSError as error:
            raise SourceError(f"{self._shown}: cannot be read: {error.strerror}") from error
        state = status.st_size, status.st_mtime_ns
        if self._opened is None or self._opened[0] != state:
            names = {self.image_column, self.key or self.image_column}
            try:
                rows = open_rows(path, image_column=self.image_column, names=names)
                self._check(rows.columns)
            except SourceError as error:  # name the URL instead of the local copy
                raise SourceError(str(error).replace(path, self._shown)) from error
            self._opened = state, rows
        return self._opened[1]

    def _check(self, columns: Sequence[str]) -> None:
        for column, option in ((self.image_column, "--image-column"), (self.key, "--key")):
            if column and column not in columns:
                likely = _likely_column(column, columns, image=option == "--image-column")
                raise SourceError(
                    f"{self._shown}: no column {column!r} (columns: {', '.join(columns)}); "
                    f"name one: {option} {likely}"
                )

    @property
    def _shown(self) -> str:
        return printable(uri_to_path(self.uri))

    def _image(self, row: Row, place: RowPlace) -> SourceImage | FailedImage:
        if row.problem:
            return FailedImage(place.uri, row.problem)
        key, problem = key_of(row.values, self.key)
        if problem:
            return FailedImage(place.uri, f"row {problem}")
        path = row.values.get(self.image_column, "")
        if not isinstance(path, str) or not path or "\0" in path:
            reason = "path contains a NUL character" if path else "row has no path"
            reason = reason if isinstance(path, str) else f"{path!r:.60} is not a path"
            return FailedImage(place.uri, reason, key)
        uri, name = self._location(path)
        metadata = {n: value for n, value in row.values.items() if n != self.image_column}
        if is_remote(uri):
            return SourceImage(uri, name, metadata, key=key, place=place)
        try:
            version = _version(uri_to_path(uri))
        except ImageError as error:
            return FailedImage(uri, f"{error} ({place})", key)
        return SourceImage(uri, name, metadata, version, key, place)

    def _location(self, path: str) -> tuple[str, str]:
        """The URI of an image and its name."""
        if is_remote(path) or is_remote(self.root):
            uri = path if is_remote(path) else urljoin(f"{self.root}/", path)
            if not is_remote(uri):  # `urljoin` does not support bucket URLs
                uri = f"{self.root}/{path}"
            return uri, uri.removeprefix(f"{self.root}/")
        path = str(Path(self._folder, uri_to_path(path)))
        name = os.path.relpath(path, self._folder)
        return path_to_uri(path), printable(path if name.startswith("..") else name)


def _version(path: str) -> ImageVersion:
    """The version of a file, also of one in a tar. Raises ImageError."""
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, NotADirectoryError) and (inside := member_path(path)) is not None:
            return member_version(*inside)
        raise ImageError("no such file") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    return ImageVersion(status.st_size, status.st_mtime_ns)


def _likely_column(wanted: str, names: Sequence[str], *, image: bool) -> str:
    by_case = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wanted.casefold(), by_case, n=1)
    if close:
        return by_case[close[0]]
    return next((name for name in names if image and _LIKELY.search(name)), "NAME")
