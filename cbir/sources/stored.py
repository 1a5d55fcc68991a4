"""Images by the URI under which a gallery knows them."""

from __future__ import annotations

import hashlib
import os

from cbir.errors import ImageError
from cbir.sources.paths import read_file, uri_to_path

__all__ = ["content_hash", "file_state", "read_indexed", "read_uri"]


def read_uri(uri: str) -> bytes:
    """The encoded image at a URI. Raises ImageError when it cannot be read."""
    return read_file(uri_to_path(uri))


def content_hash(data: bytes) -> bytes:
    """The 16 bytes by which a gallery tells whether an encoded image is as it was (BLAKE2b)."""
    return hashlib.blake2b(data, digest_size=16).digest()


def read_indexed(uri: str, indexed: bytes) -> bytes:
    """The encoded image at a URI as it was when it was indexed, with that content hash.

    Raises ImageError when it cannot be read, or is another by now.
    """
    data = read_uri(uri)
    if content_hash(data) != indexed:
        raise ImageError("changed since it was indexed; 'cbir index' brings the gallery up to it")
    return data


def file_state(uri: str) -> tuple[int, int]:
    """Bytes and time stamp (ns since 1970) of a file. Raises ImageError if it is gone."""
    try:
        status = os.stat(uri_to_path(uri))  # noqa: PTH116  the path need not be UTF-8 text
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
