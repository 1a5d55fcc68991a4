"""Local copies of files behind URLs."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from urllib.parse import urlsplit

from cbir.errors import ImageError, SourceError
from cbir.sources.paths import is_remote, uri_to_path

__all__ = ["LocalCopy", "suffix_of"]


class LocalCopy:
    """A local file for a URI: a URL is downloaded once, and the copy deleted with this object."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._local: Path | None = None

    def path(self) -> str:
        """Path of the local file. Raises SourceError."""
        if not is_remote(self._uri):
            return uri_to_path(self._uri)
        if self._local is None:
            folder = tempfile.mkdtemp(prefix="cbir-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            local = Path(folder, "copy" + suffix_of(self._uri))
            try:
                self._fetch(local)
            except ImageError as error:
                raise SourceError(f"{self._uri}: {error}") from error
            self._local = local
        return str(self._local)

    def _fetch(self, path: Path) -> None:
        from cbir.sources.remote import is_web

        if is_web(self._uri):
            from cbir.sources import http

            with path.open("wb") as file:
                http.download(self._uri, file)
        else:
            from cbir.sources import objects

            objects.copy(self._uri, str(path))


def suffix_of(uri: str) -> str:
    """The suffix of a path or URL, in lower case."""
    path = urlsplit(uri).path if is_remote(uri) else uri_to_path(uri)
    return Path(path).suffix.casefold()
