"""What a server is told when it starts."""

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
    """How a gallery is served; the defaults are safe."""

    gallery: Path = DEFAULT_GALLERY
    token: str | None = None
    """What writes must show, and reads as well unless `public_reads`. None: nobody is asked."""
    public_reads: bool = False
    hosts: tuple[str, ...] = ()
    """Names by which the server is reached, beside localhost, this machine's name and addresses."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API, as `https://shop.example`."""
    allow_fetch: bool = False
    """Whether a query may be a URL, which the server fetches."""
    max_upload: int = 32_000_000
    """Bytes of a request's body."""
    waiting: int = 64
    """Requests that may wait for a worker; one more is answered 503."""
    workers: int = 0
    """Threads that decode, embed and rerank; 0: one per core."""
    refresh_s: float = 0.5
    """How often what other processes have committed is looked for, in seconds."""
    index_wait_s: float = 5.0
    """How long the start waits for the index, in seconds. Until it is ready, searches scan the
    catalogue instead."""
    thumbnail_bytes: int = 64_000_000
    """Thumbnails kept in memory."""
    device: str = "auto"
    runtime: Runtime = "auto"
    precision: Precision = "auto"

    @property
    def threads(self) -> int:
        return self.workers or available_cores()


def check_exposure(host: str, settings: Settings, *, insecure: bool) -> None:
    """Raise CbirError where others could reach the server and nothing protects it."""
    if settings.token is not None and not settings.token.strip():
        raise CbirError("the token is empty; give --token a long random text")
    if settings.token is not None and not settings.token.isascii():
        raise CbirError("the token holds letters that no header can carry; use ASCII alone")
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
