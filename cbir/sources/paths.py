"""Converts local paths to URIs and printable text, and reads files safely.

A path need not be UTF-8 text, but a database column must be. A path that is UTF-8 is used as the
URI itself, any other becomes a `file://` URL: `/photos/é.jpg`, but `file:///photos/%E9.jpg` if its
é is a single byte. A URL is used unchanged.
"""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

from cbir.config import max_bytes
from cbir.errors import ImageError, ImageMissingError

__all__ = [
    "is_remote",
    "path_to_uri",
    "printable",
    "read_file",
    "read_head",
    "unreadable",
    "uri_to_path",
]

_SCHEME = "file://"
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_remote(uri: str | os.PathLike[str]) -> bool:
    """Whether a URI is a URL other than `file://`."""
    uri = os.fspath(uri)
    return "://" in uri and _URL.match(uri) is not None and not uri.startswith(_SCHEME)


def path_to_uri(path: str | os.PathLike[str]) -> str:
    """The absolute path, links unresolved; as a `file://` URL if it is not UTF-8 text.

    A URL is returned unchanged.
    """
    if is_remote(path):
        return os.fspath(path)
    absolute = os.path.abspath(path)  # noqa: PTH100 (Path.resolve would follow links)
    try:
        absolute.encode()
    except UnicodeEncodeError:
        return Path(absolute).as_uri()
    return absolute


def uri_to_path(uri: str) -> str:
    """The path of a URI: the inverse of `path_to_uri`, which also takes any `file://` URL."""
    if uri.startswith(_SCHEME):
        return os.fsdecode(unquote_to_bytes(uri[len(_SCHEME) :]))
    return uri


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that can be shown and stored: bytes that are not UTF-8 become `\\xff`."""
    return os.fsencode(path).decode(errors="backslashreplace")


def read_file(path: str) -> bytes:
    """Read a regular file. Raises ImageError if it cannot be read or exceeds `max_bytes`."""
    limit = max_bytes()
    try:
        with _opened(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a regular file")
            if status.st_size > limit:
                raise ImageError(
                    f"{status.st_size / 1e6:,.0f} MB, above the limit of {limit / 1e6:,.0f} MB; "
                    "CBIR_MAX_PIXELS raises it (10 bytes per pixel)"
                )
            return file.readall()
    except OSError as error:
        raise unreadable(error) from error


def unreadable(error: OSError) -> ImageError:
    """The ImageError for an OSError; ImageMissingError if there is no file."""
    missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
    return (ImageMissingError if missing else ImageError)(f"cannot be read: {error.strerror}")


def read_head(path: str, length: int) -> bytes:
    """The first bytes of a regular file; empty if it cannot be read or is not a regular file."""
    try:
        with _opened(path) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return file.read(length) if regular else b""
    except OSError:
        return b""


def _opened(path: str) -> io.FileIO:
    # Without O_NONBLOCK, opening a FIFO would wait for its writer.
    nonblocking = getattr(os, "O_NONBLOCK", 0)
    return io.FileIO(path, opener=lambda name, flags: os.open(name, flags | nonblocking))
