"""Images at http(s) URLs: bounded in size, time, redirects and attempts."""

from __future__ import annotations

import atexit
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING

from cbir.config import max_download, network_timeout
from cbir.errors import ImageError, ImageMissingError, MissingExtraError
from cbir.sources.content import Content, ImageVersion
from cbir.sources.retry import TransientError, with_retries

if TYPE_CHECKING:
    import httpx

__all__ = ["download", "get", "head", "validator"]

MOST_REDIRECTS = 5
CONNECTIONS = 64
_GONE = frozenset({404, 410})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_client_lock = threading.Lock()
_clients: list[httpx.Client] = []


def get(url: str) -> Content:
    """The image at a URL, tried again where that may help. Raises ImageError."""

    def once() -> Content:
        limit, ends = max_download(), time.monotonic() + network_timeout()
        with _response(url) as response:
            announced = response.headers.get("content-length", "")
            if announced.isdecimal() and int(announced) > limit:
                raise ImageError(_too_large(int(announced), limit))
            data = bytearray()
            for part in response.iter_bytes():
                data += part
                if len(data) > limit:
                    raise ImageError(_too_large(len(data), limit))
                if time.monotonic() > ends:
                    raise TransientError(f"not read within {network_timeout():g} s")
            return Content(bytes(data), _stamp(response.headers))

    return with_retries(once)


def head(url: str) -> ImageVersion | None:
    """Bytes and validator of what is at a URL; None where the server does not say."""
    client = _client()
    import httpx

    try:
        response = client.head(url, timeout=network_timeout())
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    if response.status_code != 200:
        return None
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None, _stamp(response.headers)


def download(url: str, file: IO[bytes]) -> None:
    """What is at a URL, of any size, into an empty file. Raises ImageError."""

    def once() -> None:
        file.seek(0)
        file.truncate()
        with _response(url) as response:
            for part in response.iter_bytes():
                file.write(part)

    with_retries(once)


@contextmanager
def _response(url: str) -> Iterator[httpx.Response]:
    """A good answer, its body still to be read. Raises TransientError or ImageError."""
    client = _client()
    import httpx

    try:
        with client.stream("GET", url, timeout=network_timeout()) as response:
            status = response.status_code
            reason = f"the server says {status} {response.reason_phrase}".rstrip()
            if status in _AGAIN:
                raise TransientError(reason, _retry_after(response.headers))
            if status in _GONE:
                raise ImageMissingError(reason)
            if status != 200:
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
    """The one client of this process; it may be used from several threads at once."""
    with _client_lock:
        if not _clients:
            try:
                import httpx
            except ImportError as error:
                raise MissingExtraError(
                    "URLs are read with httpx; pip install 'cbir[remote]' brings it"
                ) from error
            kept = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
            client = httpx.Client(
                # Images are compressed already, and sizes should be those of the files.
                headers={"User-Agent": "cbir", "Accept-Encoding": "identity"},
                follow_redirects=True,
                max_redirects=MOST_REDIRECTS,
                limits=kept,
            )
            _clients.append(client)
            atexit.register(client.close)
        return _clients[0]


def validator(etag: str | None, modified: datetime | None) -> int | None:
    """One number for what a server says to tell versions by; an entity tag before a time."""
    if etag:
        tag = etag.removeprefix("W/").strip('"').encode()
        return int.from_bytes(hashlib.blake2b(tag, digest_size=8).digest(), "big") >> 1
    return None if modified is None else int(modified.timestamp()) * 10**9


def _stamp(headers: Mapping[str, str]) -> int | None:
    modified, now = (_time(headers.get(name)) for name in ("last-modified", "date"))
    # Within the same second it may change once more, and the time would not tell.
    fresh = modified is not None and now is not None and (now - modified).total_seconds() < 1
    return validator(headers.get("etag"), None if fresh else modified)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    said = headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    when = _time(said)
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
