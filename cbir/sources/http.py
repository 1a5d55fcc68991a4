"""Images at http(s) URLs, read with limits on size, time, redirects and attempts."""

from __future__ import annotations

import atexit
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import format_datetime, parsedate_to_datetime
from typing import IO, TYPE_CHECKING

from cbir.config import max_download, network_timeout
from cbir.errors import ImageError, ImageMissingError, MissingExtraError
from cbir.sources.content import Content, NotModified
from cbir.sources.retry import TransientError, with_retries
from cbir.types import ImageVersion

if TYPE_CHECKING:
    import httpx

__all__ = ["download", "get", "get_if_changed", "head", "validator"]

MOST_REDIRECTS = 5
CONNECTIONS = 64
SECOND_NS = 10**9
NOT_MODIFIED = 304
_GONE = frozenset({404, 410})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_client_lock = threading.Lock()
_clients: list[httpx.Client] = []


def get(url: str) -> Content:
    """The image at a URL, with retries after transient failures. Raises ImageError."""
    content = get_if_changed(url, ImageVersion())
    assert isinstance(content, Content)
    return content


def get_if_changed(url: str, previous: ImageVersion) -> Content | NotModified:
    """The image at a URL by one conditional request; NotModified if it is still `previous`.

    Where a server ignores the condition, the header of its response shows that nothing has changed
    and the body is not read. Retries after transient failures. Raises ImageError.
    """
    conditions = _conditions(previous)

    def once() -> Content | NotModified:
        ends = time.monotonic() + network_timeout()
        with _response(url, conditions) as response:
            version = _version(response.headers)
            if response.status_code == NOT_MODIFIED:
                if version.stamp in (None, previous.stamp):
                    return NotModified(replace(previous, etag=version.etag or previous.etag))
                # Some servers report "not modified" for a file that was replaced by an older one.
                conditions.clear()
                return once()
            same = version.stamp is not None and version.stamp == previous.stamp
            if same and version.size in (None, previous.size):
                return NotModified(replace(previous, etag=version.etag))
            data = _body(response, ends)
        return Content(data, replace(version, size=len(data)))

    return with_retries(once)


def head(url: str) -> ImageVersion | None:
    """The version of the file at a URL; None where the server does not say."""
    client = _client()
    import httpx

    try:
        response = client.head(url, timeout=network_timeout())
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return _version(response.headers) if response.status_code == 200 else None


def download(url: str, file: IO[bytes]) -> None:
    """Download a URL of any size to a file. Raises ImageError."""

    def once() -> None:
        file.seek(0)
        file.truncate()
        with _response(url) as response:
            for part in response.iter_bytes():
                file.write(part)

    with_retries(once)


def _body(response: httpx.Response, ends: float) -> bytes:
    """Read the body until the deadline `ends`. Raises TransientError or ImageError."""
    limit, announced = max_download(), _content_length(response.headers)
    if announced is not None and announced > limit:
        raise ImageError(_too_large(announced, limit))
    data = bytearray()
    for part in response.iter_bytes():
        data += part
        if len(data) > limit:
            raise ImageError(_too_large(len(data), limit))
        if time.monotonic() > ends:
            raise TransientError(f"not read within {network_timeout():g} s")
    return bytes(data)


@contextmanager
def _response(url: str, conditions: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
    """A response of status 200, or 304 to conditions, with its body still unread.

    Raises TransientError or ImageError.
    """
    client = _client()
    import httpx

    timeout = network_timeout()
    try:
        with client.stream("GET", url, headers=conditions, timeout=timeout) as response:
            status = response.status_code
            reason = f"the server says {status} {response.reason_phrase}".rstrip()
            if status in _AGAIN:
                raise TransientError(reason, _retry_after(response.headers))
            if status in _GONE:
                raise ImageMissingError(reason)
            if status != 200 and not (status == NOT_MODIFIED and conditions):
                raise ImageError(reason)
            yield response
    except httpx.TooManyRedirects as error:
        raise ImageError(f"more than {MOST_REDIRECTS} redirects") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ImageError(f"no usable URL: {error}") from error
    except httpx.TimeoutException as error:
        raise TransientError(f"no answer within {network_timeout():g} s") from error
    except httpx.RemoteProtocolError as error:
        raise TransientError("the connection was closed before all was sent") from error
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split())[:200]
        raise TransientError(f"cannot be reached: {reason or type(error).__name__}") from error


def _client() -> httpx.Client:
    """The one client of this process; it is thread-safe."""
    with _client_lock:
        if not _clients:
            try:
                import httpx
            except ImportError as error:
                raise MissingExtraError(
                    "URLs are read with httpx; pip install 'cbir[remote]' brings it"
                ) from error
            limits = httpx.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS
            )
            client = httpx.Client(
                # Images are compressed already, and content lengths should be file sizes.
                headers={"User-Agent": "cbir", "Accept-Encoding": "identity"},
                follow_redirects=True,
                max_redirects=MOST_REDIRECTS,
                limits=limits,
            )
            _clients.append(client)
            atexit.register(client.close)
        return _clients[0]


def validator(etag: str | None, modified: datetime | None) -> int | None:
    """`ImageVersion.stamp` from a server's validators: a hash of the entity tag if there is one.

    Otherwise the modification time in nanoseconds, always a whole number of seconds.
    """
    if etag:
        tag = etag.removeprefix("W/").strip('"').encode()
        return int.from_bytes(hashlib.blake2b(tag, digest_size=8).digest(), "big") >> 1
    return None if modified is None else int(modified.timestamp()) * SECOND_NS


def _conditions(previous: ImageVersion) -> dict[str, str]:
    """Request headers with which a server need not send the `previous` version again.

    Galleries of older versions of cbir stored a hash of the entity tag, but not the tag itself.
    """
    if previous.etag is not None:
        return {"If-None-Match": previous.etag}
    if previous.stamp is None or previous.stamp % SECOND_NS:
        return {}
    modified = datetime.fromtimestamp(previous.stamp // SECOND_NS, timezone.utc)
    return {"If-Modified-Since": format_datetime(modified, usegmt=True)}


def _version(headers: Mapping[str, str]) -> ImageVersion:
    etag = headers.get("etag") or None
    modified, now = (_time(headers.get(name)) for name in ("last-modified", "date"))
    # It may change again within the same second, which the time would not show.
    fresh = modified is not None and now is not None and (now - modified).total_seconds() < 1
    stamp = validator(etag, None if fresh else modified)
    return ImageVersion(_content_length(headers), stamp, etag)


def _content_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next attempt, as the server requests; None if it does not."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    when = _time(value)
    return None if when is None else max(0.0, (when - datetime.now(timezone.utc)).total_seconds())


def _time(text: str | None) -> datetime | None:
    try:
        when = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError, OverflowError):
        return None
    return when.replace(tzinfo=timezone.utc) if when and when.tzinfo is None else when


def _too_large(size: int, limit: int) -> str:
    return (
        f"{size / 1e6:,.1f} MB or more, above the limit of {limit / 1e6:,.1f} MB; "
        "CBIR_MAX_DOWNLOAD (bytes) raises it"
    )
