"""The settings of a server, and a check that they are safe."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cbir.config import DEFAULT_GALLERY, available_cores
from cbir.embedding import Precision, Runtime
from cbir.errors import CbirError

__all__ = ["Settings", "check_exposure"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a server; the defaults are safe on any machine."""

    gallery: Path = DEFAULT_GALLERY
    token: str | None = None
    """Secret that every write must carry, and every read unless `public_reads`; None: no token."""
    public_reads: bool = False
    hosts: tuple[str, ...] = ()
    """Host names of the server besides localhost, the machine's name and its addresses."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API, as `https://shop.example`."""
    allow_fetch: bool = False
    """Whether a query may be a URL, which the server then downloads."""
    max_upload: int = 32_000_000
    """Largest body of a request, in bytes."""
    waiting: int = 64
    """Number of requests that may wait for a worker; further ones get a 503."""
    workers: int = 0
    """Number of threads that decode, embed and rerank; 0: one per core."""
    refresh_s: float = 0.5
    """Seconds between checks for changes by other processes."""
    root_path: str = ""
    """Path below which a proxy serves it, as `/search`; empty for none."""
    index_wait_s: float = 5.0
    """Seconds that the start waits for the index. Until it is ready, searches scan the
    catalogue instead."""
    thumbnail_bytes: int = 64_000_000
    """Bytes of thumbnails cached in memory."""
    device: str = "auto"
    runtime: Runtime = "auto"
    precision: Precision = "auto"

    @property
    def threads(self) -> int:
        return self.workers or available_cores()


def check_exposure(host: str, settings: Settings, *, insecure: bool) -> None:
    """Raise CbirError for a server that others can reach and no token protects, or a bad token."""
    if settings.token is not None and not settings.token.strip():
        raise CbirError("the token is empty; give --token a long random text")
    if settings.token is not None and not settings.token.isascii():
        raise CbirError("the token holds characters that a header cannot carry; use ASCII only")
    if settings.token is None and not insecure and not _is_loopback(host):
        raise CbirError(
            f"{host} can be reached by others; give --token TOKEN, or --insecure to let everybody "
            "read and write"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
