"""Images at URLs: http(s) by one client, everything else through fsspec."""

from __future__ import annotations

from cbir.errors import ImageError, MissingExtraError
from cbir.sources.content import Content, ImageVersion

__all__ = ["is_unchanged", "is_web", "read_remote", "remote_state"]


def is_web(url: str) -> bool:
    """Whether a URL is of http or https."""
    return url.casefold().startswith(("http://", "https://"))


def read_remote(url: str, *, validate: bool = False) -> Content:
    """The image at a URL; with `validate` also by what its next version will be told.

    Raises ImageError.
    """
    try:
        if is_web(url):
            from cbir.sources import http

            return http.get(url)
        from cbir.sources import objects

        # Asked before it is read: a change in between is noticed by the next run.
        stamp = objects.state(url)[1] if validate else None
        return Content(objects.read(url), stamp)
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


def remote_state(url: str) -> ImageVersion:
    """Bytes and validator of the image at a URL. Raises ImageError if it is gone."""
    try:
        if not is_web(url):
            from cbir.sources import objects

            return objects.state(url)
        from cbir.sources import http

        said = http.head(url)
        if said is not None and said[1] is not None:
            return said
        content = http.get(url)
        return len(content.data), content.mtime_ns
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


def is_unchanged(url: str, known: ImageVersion) -> bool:
    """Whether a server says, without sending it, that an image is as it was known."""
    try:
        if is_web(url):
            from cbir.sources import http

            said = http.head(url)
        else:
            from cbir.sources import objects

            said = objects.state(url)
    except (ImageError, MissingExtraError):  # to read it will tell why
        return False
    if said is None or said[1] is None:
        return False
    return said[1] == known[1] and said[0] in (None, known[0])
