"""A manifest: a CSV, JSON Lines or Parquet file whose rows name images and their metadata."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from cbir.errors import ImageError, ImageMissingError, SourceError, reason_of
from cbir.messages import shortened
from cbir.sources.base import DEFAULT_COLUMN, RowPlace, SourceImage, SourceOptions
from cbir.sources.keys import key_of
from cbir.sources.local_copy import LocalCopy
from cbir.sources.manifest_columns import choose_image_column, require_key_column
from cbir.sources.members import member_version
from cbir.sources.paths import is_remote, path_to_uri, printable, uri_to_path
from cbir.sources.rows import ImageCell, Row, RowReader, open_rows
from cbir.sources.spelling import PathFinder, is_windows_path
from cbir.types import FailedImage, ImageVersion

__all__ = ["ManifestSource", "open_manifest"]

LONGEST_PATH = 4096
"""Longest path or URL in characters; a longer text is something else."""


def open_manifest(location: str, options: SourceOptions) -> ManifestSource:
    """Open the manifest at a path or URL."""
    return ManifestSource(location, image_column=options.image_column, key=options.key)


class ManifestSource:
    """The images that a CSV, JSON Lines or Parquet file lists; other columns become metadata.

    An image is given by a path, relative to the file's folder, by a URL, or in Parquet by its
    bytes; then the column and the number of the row are its place.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        image_column: str = DEFAULT_COLUMN,
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
        self._column = image_column
        """The column as the file spells it."""
        if is_remote(self.uri):
            self._folder = self.root = self.uri.rpartition("/")[0]
        else:
            self._folder = str(Path(uri_to_path(self.uri)).parent)
            self.root = path_to_uri(self._folder)
        self._finder = PathFinder(self._folder)

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
            try:
                rows = self._read_columns(path)
            except SourceError as error:  # name the URL instead of the local copy
                raise SourceError(str(error).replace(path, self._shown)) from error
            self._opened = state, rows
        return self._opened[1]

    def _read_columns(self, path: str) -> RowReader:
        """A reader of the rows, after a look at which columns there are. Raises SourceError."""
        column = self.image_column
        rows = open_rows(path, image_column=column, names={column, self.key or column})
        try:
            self._column = choose_image_column(column, rows)
            if self.key:
                require_key_column(self.key, rows.columns)
        except SourceError as error:
            raise SourceError(f"{self._shown}: {error}") from error
        if self._column in rows.image_columns and is_remote(self.uri):
            raise SourceError(
                f"{self._shown}: images inside a Parquet file are read from disk; copy it there"
            )
        if self._column == column:
            return rows
        names = {self._column, self.key or self._column}
        return open_rows(path, image_column=self._column, names=names)

    @property
    def _shown(self) -> str:
        return printable(uri_to_path(self.uri))

    def _image(self, row: Row, place: RowPlace) -> SourceImage | FailedImage:
        if row.problem:
            return FailedImage(place.uri, row.problem)
        key, problem = key_of(row.values, self.key)
        if problem:
            return FailedImage(place.uri, f"row {problem}")
        path = row.values.get(self._column, "")
        if isinstance(path, ImageCell):
            if path.size is not None:
                return self._inside(row, place, path, key)
            path = path.path
        if problem := _path_problem(path):
            return FailedImage(place.uri, problem, key)
        uri, name = self._location(path)
        metadata = self._metadata(row)
        if is_remote(uri):
            return SourceImage(uri, name, metadata, key=key, place=place)
        try:
            version = _version(uri_to_path(uri))
        except ImageError as error:
            present = self._finder.find(uri_to_path(path))
            if present is None and is_windows_path(path):
                return FailedImage(place.uri, self._windows_reason(path), key)
            if present is None or not isinstance(error, ImageMissingError):
                return FailedImage(uri, f"{error} ({place})", key)
            uri, name = self._location(present)
            try:
                version = _version(uri_to_path(uri))
            except ImageError as error:
                return FailedImage(uri, f"{error} ({place})", key)
        return SourceImage(uri, name, metadata, version, key, place)

    def _metadata(self, row: Row) -> dict[str, Any]:
        return {name: value for name, value in row.values.items() if name != self._column}

    def _inside(
        self, row: Row, place: RowPlace, cell: ImageCell, key: str
    ) -> SourceImage | FailedImage:
        """The image whose bytes the row holds."""
        from cbir.sources.parquet_images import image_path

        assert self._opened is not None
        if cell.size == 0:
            return FailedImage(place.uri, "row has an empty image", key)
        uri = image_path(self.uri, self._column, row.number)
        # Of the file that it was on another machine, only the last name says something.
        name = cell.path.replace("\\", "/").rpartition("/")[2]
        name = name or uri.removeprefix(f"{self.root}/")
        version = ImageVersion(cell.size, self._opened[0][1])
        return SourceImage(uri, name, self._metadata(row), version, key, place)

    def _windows_reason(self, path: str) -> str:
        """Why an absolute path of Windows cannot be read here, and how to write it instead."""
        parts = path.replace("\\", "/").split("/")
        tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
        tail = next((tail for tail in tails if tail and self._finder.find(tail)), None)
        advice = (
            f"leave out {shortened(path[: len(path) - len(tail)])!r}, {shortened(tail)!r} lies here"
            if tail is not None
            else f"write paths relative to this file, as {shortened(parts[-1])!r}"
        )
        return f"{shortened(path)!r} is a path on Windows: {advice}"

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


def _path_problem(path: object) -> str:
    """Why a cell is no path; empty if it is one."""
    if not isinstance(path, str):
        return f"{shortened(repr(path))} is not a path"
    if not path:
        return "row has no path"
    if "\0" in path:
        return "path contains a NUL character"
    if len(path) > LONGEST_PATH:
        return f"{shortened(path)!r} is not a path: it has {len(path):,} characters"
    return ""


def _version(path: str) -> ImageVersion:
    """The version of a file, also of one in a tar. Raises ImageError."""
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        inside = member_version(path) if isinstance(error, NotADirectoryError) else None
        if inside is not None:
            return inside
        raise ImageMissingError("no such file") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    return ImageVersion(status.st_size, status.st_mtime_ns)
