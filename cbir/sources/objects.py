"""Reads objects in buckets, and behind any other protocol of fsspec."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cbir.config import max_download
from cbir.errors import ImageError, ImageMissingError, MissingExtraError
from cbir.sources.content import Content, NotModified
from cbir.sources.http import validator
from cbir.sources.retry import TransientError, with_retries
from cbir.types import ImageVersion

__all__ = ["copy", "listing", "read", "read_if_changed", "version"]

ATTEMPTS = 2
"""Few, as the clients of buckets retry by themselves."""

_lock = threading.Lock()
_filesystems: dict[str, Any] = {}
"""File systems by scheme and host; fsspec itself would make one for every thread."""

T = TypeVar("T")


def read(url: str) -> bytes:
    """Read an object. Raises ImageError."""
    limit = max_download()
    data: bytes = _retried(url, lambda fs, path: fs.cat_file(path, start=0, end=limit + 1))
    if len(data) > limit:
        raise ImageError(
            f"above the limit of {limit / 1e6:,.1f} MB; CBIR_MAX_DOWNLOAD (bytes) raises it"
        )
    return data


def read_if_changed(url: str, previous: ImageVersion) -> Content | NotModified:
    """An object with its version; NotModified if it is still `previous`. Raises ImageError."""
    # The version is read first: a change before the read is then noticed by the next run.
    current = version(url)
    if current.stamp is not None and current == previous:
        return NotModified(current)
    data = read(url)
    return Content(data, replace(current, size=len(data)))


def version(url: str) -> ImageVersion:
    """The version of an object, from its size and entity tag. Raises ImageError."""

    def look(fs: Any, path: str) -> Mapping[str, Any]:
        fs.invalidate_cache()
        info: Mapping[str, Any] = fs.info(path)
        return info

    return _version(_retried(url, look))


def copy(url: str, path: str) -> None:
    """Copy an object to a local file. Raises ImageError."""
    _retried(url, lambda fs, remote: fs.get_file(remote, path))


def listing(url: str) -> Iterator[tuple[str, ImageVersion]]:
    """URL and version of all objects below a URL, in the order of names. Raises ImageError."""

    def look(fs: Any, path: str) -> Mapping[str, Mapping[str, Any]]:
        fs.invalidate_cache()
        objects: Mapping[str, Mapping[str, Any]] = fs.find(path, detail=True)
        return objects

    objects = _retried(url, look)
    fs, _ = _filesystem(url)
    for name in sorted(objects):
        yield fs.unstrip_protocol(name), _version(objects[name])


def _retried(url: str, work: Callable[[Any, str], T]) -> T:
    """Result of `work(file system, path)`, with retries after transient errors."""
    fs, path = _filesystem(url)

    def once() -> T:
        try:
            return work(fs, path)
        except FileNotFoundError as error:
            raise ImageMissingError("no such object") from error
        except PermissionError as error:
            raise ImageError(f"permission denied: {_reason(error)}") from error
        except Exception as error:  # each protocol's library has its own exceptions
            if "Credentials" in type(error).__name__:
                raise ImageError(_reason(error)) from error
            raise TransientError(f"cannot be read: {_reason(error)}") from error

    return with_retries(once, attempts=ATTEMPTS)


def _filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it. Raises ImageError, MissingExtraError."""
    parts = urlsplit(url)
    try:
        import fsspec

        with _lock:
            root = f"{parts.scheme}://{parts.netloc}"
            if root not in _filesystems:
                _filesystems[root], _ = fsspec.core.url_to_fs(url)
            fs = _filesystems[root]
        return fs, fs._strip_protocol(url)
    except ImportError as error:
        extra = "s3" if parts.scheme in ("s3", "s3a") else "remote"
        library = "fsspec" if error.name == "fsspec" else "s3fs"
        raise MissingExtraError(
            f"{parts.scheme}:// is read with {library}; pip install 'cbir[{extra}]' brings it"
            if extra == "s3" or library == "fsspec"
            else f"{parts.scheme}:// cannot be read: {_reason(error)}"
        ) from error
    except Exception as error:  # unknown protocols, invalid URLs
        raise ImageError(f"no usable URL: {_reason(error)}") from error


def _version(info: Mapping[str, Any]) -> ImageVersion:
    etag = next((info[name] for name in ("ETag", "etag", "md5Hash") if info.get(name)), None)
    times = (info.get(name) for name in ("LastModified", "last_modified", "updated", "mtime"))
    modified = next((time for time in times if isinstance(time, datetime)), None)
    return ImageVersion(info.get("size"), validator(etag and str(etag), modified))


def _reason(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
