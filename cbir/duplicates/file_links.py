"""Tells files from further names of the same file: to remove such a name saves nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from cbir.sources.paths import is_remote, uri_to_path
from cbir.types import ImageRecord

__all__ = ["FileNames"]

FileKey: TypeAlias = "tuple[int, int]"
"""Device and number of a file."""


@dataclass(frozen=True, slots=True)
class _File:
    key: FileKey
    names: int
    """Number of hard links."""
    symbolic: bool
    """Whether the name is a symbolic link."""
    path: str
    """The real path: that of a symbolic link's target."""


class FileNames:
    """The files behind the names of images; names that are no local files stand alone."""

    def __init__(self, images: Iterable[ImageRecord]) -> None:
        self._files = {image.id: file for image in images if (file := _file(image.uri))}

    def is_symbolic(self, image: ImageRecord) -> bool:
        """Whether the name of an image is a symbolic link."""
        file = self._files.get(image.id)
        return file is not None and file.symbolic

    def same_file(self, first: ImageRecord, second: ImageRecord) -> bool:
        """Whether two images are one file under two names."""
        a, b = self._files.get(first.id), self._files.get(second.id)
        return a is not None and b is not None and a.key == b.key

    def bytes_freed(self, images: Iterable[ImageRecord]) -> int:
        """Bytes that are free once these names are gone: those of files without another name."""
        freed = 0
        names: dict[FileKey, set[str]] = {}
        sizes: dict[FileKey, tuple[int, int]] = {}
        for image in images:
            file = self._files.get(image.id)
            if file is None:
                freed += image.size
            elif not file.symbolic:
                names.setdefault(file.key, set()).add(file.path)
                sizes[file.key] = (file.names, image.size)
        return freed + sum(size for key, (count, size) in sizes.items() if len(names[key]) >= count)


def _file(uri: str) -> _File | None:
    if is_remote(uri):
        return None
    path = uri_to_path(uri)
    try:
        status = os.stat(path)  # noqa: PTH116  the path need not be UTF-8 text
        symbolic, real = os.path.islink(path), os.path.realpath(path)  # noqa: PTH114
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _File((status.st_dev, status.st_ino), status.st_nlink, symbolic, real)
