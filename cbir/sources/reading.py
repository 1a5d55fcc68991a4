"""Images by the URI under which a gallery knows them: files, files in tars, and URLs."""

from __future__ import annotations

import hashlib
import os

from cbir.errors import ImageError
from cbir.sources.content import Content, ImageVersion
from cbir.sources.paths import is_remote, read_file, unreadable, uri_to_path
from cbir.sources.tar_index import member_path, member_state, read_member

__all__ = ["content_hash", "fetch", "file_state", "read_indexed", "read_uri"]


def read_uri(uri: str) -> bytes:
    """The encoded image at a URI. Raises ImageError when it cannot be read."""
    if is_remote(uri):
        from cbir.sources.remote import read_remote

        return read_remote(uri).data
    path = uri_to_path(uri)
    try:
        return read_file(path)
    except ImageError as error:
        inside = member_path(path) if isinstance(error.__cause__, NotADirectoryError) else None
        if inside is None:
            raise
    return read_member(*inside)


def fetch(uri: str, *, known: ImageVersion = (None, None)) -> Content | None:
    """The image at a URL; None where its server says that it is as it was `known`.

    Raises ImageError when it cannot be read.
    """
    from cbir.sources.remote import is_unchanged, read_remote

    if known[1] is not None and is_unchanged(uri, known):
        return None
    return read_remote(uri, validate=True)


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


def file_state(uri: str) -> ImageVersion:
    """Bytes and time stamp of an image, without reading it. Raises ImageError if it is gone."""
    if is_remote(uri):
        from cbir.sources.remote import remote_state

        return remote_state(uri)
    path = uri_to_path(uri)
    try:
        status = os.stat(path)  # noqa: PTH116  the path need not be UTF-8 text
    except OSError as error:
        inside = member_path(path) if isinstance(error, NotADirectoryError) else None
        if inside is None:
            raise unreadable(error) from error
        return member_state(*inside)
    return status.st_size, status.st_mtime_ns
