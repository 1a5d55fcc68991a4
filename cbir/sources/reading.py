"""Reads images by URI: local files, images inside tar and Parquet files, and URLs."""

from __future__ import annotations

import hashlib
import os

from cbir.errors import ImageError
from cbir.sources.content import Content, NotModified
from cbir.sources.members import member_version, read_member
from cbir.sources.paths import is_remote, read_file, unreadable, uri_to_path
from cbir.types import ImageVersion

__all__ = ["content_hash", "current_version", "fetch", "read_indexed", "read_uri"]


def read_uri(uri: str) -> bytes:
    """The encoded image at a URI. Raises ImageError when it cannot be read."""
    if is_remote(uri):
        from cbir.sources.remote import read_remote

        return read_remote(uri)
    path = uri_to_path(uri)
    try:
        return read_file(path)
    except ImageError as error:
        inside = read_member(path) if isinstance(error.__cause__, NotADirectoryError) else None
        if inside is None:
            raise
        return inside


def fetch(url: str, previous: ImageVersion) -> Content | NotModified:
    """The image at a URL with its version; NotModified if the server says it is still `previous`.

    Raises ImageError when it cannot be read.
    """
    from cbir.sources.remote import fetch_remote

    return fetch_remote(url, previous)


def content_hash(data: bytes) -> bytes:
    """BLAKE2b digest of an encoded image, 16 bytes; equal digests count as equal images."""
    return hashlib.blake2b(data, digest_size=16).digest()


def read_indexed(uri: str, indexed: bytes) -> bytes:
    """The encoded image at a URI, checked against the content hash `indexed`.

    Raises ImageError when it cannot be read or has changed since it was indexed.
    """
    data = read_uri(uri)
    if content_hash(data) != indexed:
        raise ImageError("changed since it was indexed; 'cbir index SOURCE' embeds it again")
    return data


def current_version(uri: str) -> ImageVersion:
    """The version of the image at a URI, without reading a file; a URL may have to be read.

    Raises ImageError, or ImageMissingError if there is no image.
    """
    if is_remote(uri):
        from cbir.sources.remote import remote_version

        return remote_version(uri)
    path = uri_to_path(uri)
    try:
        status = os.stat(path)  # noqa: PTH116  the path need not be UTF-8 text
    except OSError as error:
        inside = member_version(path) if isinstance(error, NotADirectoryError) else None
        if inside is None:
            raise unreadable(error) from error
        return inside
    return ImageVersion(status.st_size, status.st_mtime_ns)
