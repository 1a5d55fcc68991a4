"""Sources on disk: the images of a folder and everything below it, or one image file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from cbir.config import CATALOG_FILE, GALLERY_FILE
from cbir.errors import ImageError, OptionError, SourceError
from cbir.images import IMAGE_SUFFIXES, SIGNATURE_BYTES, missing_extra, sniff_format
from cbir.sources.base import SourceImage
from cbir.sources.paths import path_to_uri, printable, read_file, read_head, uri_to_path
from cbir.sources.rules import IGNORE_FILE, NOT_INCLUDED, ListingRules, Skipped
from cbir.types import FailedImage, ImageVersion

__all__ = ["FileSource", "FolderSource", "holds_tars", "is_tar", "looks_like_image"]


class FolderSource:
    """The images below a folder, in a fixed order: of each folder its files, then its folders.

    Images are recognised by suffix or signature. Links are followed; each folder is visited once,
    under its own name rather than that of a link. Hidden names, galleries and what `ListingRules`
    exclude are left out.
    """

    lists_once = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        exclude: tuple[str, ...] = (),
        include: tuple[str, ...] = (),
    ) -> None:
        self.uri = path_to_uri(path)
        self.root = self.uri
        self.rules = ListingRules(exclude, include)
        self.skipped = Skipped()
        self._path = uri_to_path(self.uri)

    def count(self) -> int:
        return sum(1 for _ in self._walk())

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        for entry in self._walk():
            yield entry if isinstance(entry, FailedImage) else _image(entry, self._path)

    def keys(self) -> Iterator[str | FailedImage]:
        """The images' keys, without reading each file's status, and all unreadable entries.

        A broken link counts as unreadable: its target may have been a folder of images.
        """
        for entry in self._walk(unreadable=True):
            yield entry if isinstance(entry, FailedImage) else _uri(entry)

    def excludes(self, uri: str) -> bool:
        """Whether the rules of the last listing leave out the image at a URI."""
        path = uri_to_path(uri)
        below = path.startswith(self._path)
        return below and self.rules.pattern(self._relative(path)) is not None

    def _relative(self, path: str) -> str:
        return path[len(self._path) :].lstrip(os.sep).replace(os.sep, "/")

    def _walk(self, *, unreadable: bool = False) -> Iterator[str | FailedImage]:
        skipped = Skipped()
        self.rules.forget_ignore_files()
        visited: set[tuple[int, int]] = set()
        folders, links = [self._path], deque[str]()
        while folders or links:
            folder = folders.pop() if folders else links.popleft()
            try:
                status = Path(folder).stat()
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                entries = self._list(folder)
            except ImageError as error:
                if folder == self._path:
                    raise SourceError(str(error)) from error
                yield FailedImage(path_to_uri(folder), str(error))
                continue
            except OSError as error:
                if folder == self._path:
                    raise SourceError(f"{printable(folder)}: {_cannot_list(error)}") from error
                yield FailedImage(path_to_uri(folder), _cannot_list(error))
                continue
            if any(entry.name in (CATALOG_FILE, GALLERY_FILE) for entry in entries):
                if folder == self._path:
                    raise SourceError(f"{printable(folder)} is a gallery, not a folder of images")
                continue
            inner: list[str] = []
            for entry in entries:
                path = self._relative(entry.path)
                if _is_folder(entry):
                    if (pattern := self.rules.folder_pattern(path)) is not None:
                        skipped.excluded[pattern] += 1
                    else:
                        (links if entry.is_symlink() else inner).append(entry.path)
                elif (pattern := self.rules.file_pattern(path)) is not None:
                    skipped.excluded[pattern] += pattern != NOT_INCLUDED or _has_image_suffix(path)
                elif (image := _file(entry)) == "":
                    skipped.add_file(entry.name)
                elif image is not None and (
                    unreadable or isinstance(image, str) or _has_image_suffix(entry.name)
                ):
                    yield image
            folders.extend(reversed(inner))
        self.skipped = skipped

    def _list(self, folder: str) -> list[os.DirEntry[str]]:
        """The visible entries of a folder, whose `.cbirignore` is read before.

        Raises OSError, and ImageError where the `.cbirignore` cannot be read: what it keeps out
        must not be indexed.
        """
        visible = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == IGNORE_FILE:
                    shown = printable(entry.path)
                    try:
                        text = os.fsdecode(read_file(entry.path))
                        self.rules.add_ignore_file(self._relative(folder), text)
                    except ImageError as error:
                        raise ImageError(f"{shown}: {error}") from error
                    except OptionError as error:
                        raise SourceError(f"{printable(self._path)}: {error}") from error
                elif not entry.name.startswith("."):
                    visible.append(entry)
        return sorted(visible, key=lambda entry: entry.name)


class FileSource:
    """One image file."""

    lists_once = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.uri = path_to_uri(path)
        self._path = uri_to_path(self.uri)
        self._folder = str(Path(self._path).parent)
        self.root = path_to_uri(self._folder)

    def count(self) -> int:
        return 1

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        yield _image(self._path, self._folder)


def holds_tars(folder: str) -> bool:
    """Whether a folder contains tars and no images."""
    try:
        tars = False
        with os.scandir(folder) as entries:
            for entry in entries:
                if _has_image_suffix(entry.name) and not entry.name.startswith("."):
                    return False
                tars = tars or (is_tar(entry.name) and entry.is_file())
        return tars
    except OSError:  # walking it reports the reason
        return False


def is_tar(name: str) -> bool:
    """Whether a file name ends in `.tar` and is not hidden."""
    return name.casefold().endswith(".tar") and not name.startswith(".")


def looks_like_image(path: str) -> bool:
    """Whether a file has an image's suffix or signature."""
    if _has_image_suffix(path):
        return True
    kind = sniff_format(read_head(path, SIGNATURE_BYTES))
    return kind is not None and missing_extra(f".{kind}") is None


def _has_image_suffix(path: str) -> bool:
    return os.path.splitext(path)[1].casefold() in IMAGE_SUFFIXES  # noqa: PTH122 (speed)


def _cannot_list(error: OSError) -> str:
    return f"cannot list folder: {error.strerror}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder without read permission
        return False


def _file(entry: os.DirEntry[str]) -> str | FailedImage | None:
    """An entry's path if it is an image, "" for any other file; None for a FIFO, socket or device.

    A FailedImage for any entry whose status cannot be read.
    """
    try:
        if entry.is_file():
            return entry.path if looks_like_image(entry.path) else ""
        path = Path(entry.path)
        if not entry.is_symlink() or path.exists():
            return None
        reason = f"broken symbolic link to {printable(path.readlink())}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    return FailedImage(path_to_uri(entry.path), reason)


def _image(path: str, root: str) -> SourceImage | FailedImage:
    uri = _uri(path)
    try:
        status = os.stat(path)  # noqa: PTH116 (speed)
    except OSError as error:
        return FailedImage(uri, f"cannot be read: {error.strerror}")
    name = path.removeprefix(root).removeprefix(os.sep)
    name = name if uri is path else printable(name)
    return SourceImage(uri, name, {}, ImageVersion(status.st_size, status.st_mtime_ns))


def _uri(path: str) -> str:
    # The path is absolute, and an ASCII path is its own URI.
    return path if path.isascii() else path_to_uri(path)
