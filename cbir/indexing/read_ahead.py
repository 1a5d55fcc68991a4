"""Images behind a network are read before a worker asks for them, as far as memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event, Lock
from typing import TypeAlias

from cbir.indexing.settle import Pending
from cbir.sources.content import Content, NotModified
from cbir.sources.paths import is_remote
from cbir.sources.retry import stop_at

__all__ = ["ReadAhead"]

READERS = 32
"""Images read over a network at once: such reading is waiting, so that cores do not count."""
READ_AHEAD = 4
"""Chunks more than else under way where images come over a network."""
AHEAD_BYTES = 256 << 20
"""Read and not yet taken; beyond, an image is read when it is asked for."""
FIRST_GUESS = 1 << 20
"""Bytes of an image, before any has been read."""

_Read: TypeAlias = "tuple[Content | NotModified, int] | None"
"""A content and its bytes; None where there was no room for it."""


class ReadAhead:
    """Reads what lies behind a network as soon as it is handed in, by threads of its own."""

    def __init__(self) -> None:
        self.chunks = 0
        self._pool: ThreadPoolExecutor | None = None
        self._stop = Event()
        self._room = _Room()

    def begin(self, chunk: Sequence[Pending]) -> Sequence[Pending]:
        """The chunk, its remote images with a read under way."""
        if not any(is_remote(item.image.uri) for item in chunk):
            return chunk
        if self._pool is None:
            self._pool = ThreadPoolExecutor(READERS, "cbir-read", stop_at, (self._stop,))
            self.chunks = READ_AHEAD
        pool = self._pool
        return [
            replace(item, ahead=partial(self._take, pool, item, pool.submit(self._read, item)))
            for item in chunk
        ]

    def close(self, *, interrupted: bool) -> None:
        """Let reads under way end; interrupted, none is tried again."""
        if interrupted:  # a server may have asked for a minute's patience
            self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _read(self, item: Pending) -> _Read:
        """In a reader's thread. Raises ImageError."""
        reserved = self._room.reserve(item.image.version.size)
        if reserved is None:
            return None
        size = 0
        try:
            content = item.read()
            size = len(content.data) if isinstance(content, Content) else 0
        finally:
            self._room.keep(size, of=reserved)
        return content, size

    def _take(
        self, pool: ThreadPoolExecutor, item: Pending, under_way: Future[_Read]
    ) -> Content | NotModified:
        """In a worker's thread. Raises ImageError."""
        read = under_way.result()
        if read is None:  # by a reader nevertheless: those can be stopped
            return pool.submit(item.read).result()
        content, size = read
        self._room.keep(0, of=size)
        return content


class _Room:
    """The bytes that are held. What is not known beforehand counts as the largest met so far."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held = 0
        self._largest = FIRST_GUESS

    def reserve(self, size: int | None) -> int | None:
        """The bytes set aside for one image; None where there is no room."""
        with self._lock:
            wanted = self._largest if size is None else size
            if self._held and self._held + wanted > AHEAD_BYTES:
                return None
            self._held += wanted
            return wanted

    def keep(self, size: int, *, of: int) -> None:
        """Hold so many bytes in place of those that were set aside."""
        with self._lock:
            self._held += size - of
            self._largest = max(self._largest, size)
