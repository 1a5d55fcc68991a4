"""Reads images at URLs: http(s) through one httpx client, all other schemes through fsspec."""

from __future__ import annotations

from cbir.errors import ImageError, MissingExtraError
from cbir.sources.content import Content, NotModified
from cbir.types import ImageVersion

__all__ = ["fetch_remote", "is_web", "read_remote", "remote_version"]


def is_web(url: str) -> bool:
    """Whether a URL's scheme is http or https."""
    return url.casefold().startswith(("http://", "https://"))


def read_remote(url: str) -> bytes:
    """The encoded image at a URL. Raises ImageError."""
    try:
        if is_web(url):
            from cbir.sources import http

            return http.get(url).data
        from cbir.sources import objects

        return objects.read(url)
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


def fetch_remote(url: str, previous: ImageVersion) -> Content | NotModified:
    """The image at a URL with its version; NotModified if it is still `previous`.

    Over http this is one conditional request. Raises ImageError.
    """
    try:
        if is_web(url):
            from cbir.sources import http

            return http.get_if_changed(url, previous)
        from cbir.sources import objects

        return objects.read_if_changed(url, previous)
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


def remote_version(url: str) -> ImageVersion:
    """The version of the image at a URL, without reading it where the server allows.

    Raises ImageError, or ImageMissingError if it no longer exists.
    """
    try:
        if not is_web(url):
            from cbir.sources import objects

            return objects.version(url)
        from cbir.sources import http

        version = http.head(url)
        if version is not None and version.stamp is not None:
            return version
        return http.get(url).version
    except MissingExtraError as error:
        raise ImageError(str(error)) from error
