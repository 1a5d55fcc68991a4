"""A catalogue file: a CSV whose rows name an image and say what is known about it."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from cbir.errors import SourceError
from cbir.sources.base import SourceImage
from cbir.sources.paths import path_to_uri, printable, uri_to_path
from cbir.sources.table import Table
from cbir.types import FailedImage

__all__ = ["ManifestSource"]

_LIKELY = re.compile("path|file|img|image|photo|picture", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class ManifestSource:
    """The images that a CSV file lists; columns other than the path's become metadata.

    Paths are relative to the file's folder. The delimiter may be a comma, a semicolon or a tab.
    """

    def __init__(self, path: str | os.PathLike[str], *, image_column: str = "path") -> None:
        self.uri = path_to_uri(path)
        self._path = uri_to_path(self.uri)
        self._folder = str(Path(self._path).parent)
        self.root = path_to_uri(self._folder)
        self.image_column = image_column

    def count(self) -> int:
        return sum(1 for _ in self._table().rows())

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        table = self._table()
        lines: dict[str, int] = {}  # where each URI stands first
        for line, cells in table.rows():
            yield self._image(line, cells, table.columns, lines)

    def _table(self) -> Table:
        table = Table.open(self._path, expected=self.image_column)
        shown, names = printable(self._path), [name for name in table.columns if name]
        if self.image_column not in names:
            raise SourceError(
                f"{shown}: no column {self.image_column!r} (columns: {', '.join(names)}). "
                f"Name it with --image-column {_likely_column(self.image_column, names)}"
            )
        for name in names:
            if names.count(name) > 1:
                raise SourceError(f"{shown}: two columns are called {name!r}; rename one")
        return table

    def _image(
        self, line: int, cells: list[str], columns: tuple[str, ...], lines: dict[str, int]
    ) -> SourceImage | FailedImage:
        row = f"{self.uri}:{line}"
        if any(cells[len(columns) :]):
            return FailedImage(row, f"row has {len(cells)} cells, the header {len(columns)}")
        metadata = {name: cell for name, cell in zip(columns, cells, strict=False) if name and cell}
        path = metadata.pop(self.image_column, "")
        if not path or "\0" in path:
            return FailedImage(row, "path contains a NUL character" if path else "row has no path")
        if path.startswith("file://"):
            path = uri_to_path(path)
        elif _URL.match(path):
            return FailedImage(path, f"a URL; only files are read (line {line})")
        path = str(Path(self._folder, path))
        uri = path_to_uri(path)
        if (first := lines.setdefault(uri, line)) != line:
            return FailedImage(row, f"the same path stands in line {first}")
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return FailedImage(uri, f"no such file (line {line})")
        except OSError as error:
            return FailedImage(uri, f"cannot be read: {error.strerror} (line {line})")
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            return FailedImage(uri, f"{kind} (line {line})")
        name = os.path.relpath(path, self._folder)
        name = printable(path if name.startswith("..") else name)
        return SourceImage(uri, name, metadata, status.st_size, status.st_mtime_ns)


def _likely_column(wanted: str, names: list[str]) -> str:
    by_case = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wanted.casefold(), by_case, n=1)
    if close:
        return by_case[close[0]]
    return next((name for name in names if _LIKELY.search(name)), "NAME")
