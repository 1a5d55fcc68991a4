"""Reads images at URLs ahead of the workers, within a memory limit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event, Lock
from typing import TypeAlias

from cbir.indexing.process_chunk import Read
from cbir.indexing.values import ImageTask
from cbir.sources.content import Content, NotModified
from cbir.sources.paths import is_remote
from cbir.sources.retry import stop_at
from cbir.types import ImageVersion

__all__ = ["ReadAhead"]

READERS = 32
"""Number of images read over a network at once, on any number of cores: readers mostly wait."""
READ_AHEAD = 4
"""Number of additional pending chunks where images are read over a network."""
MAX_BYTES = 256 << 20
"""Most bytes read ahead; beyond, an image is read when a worker needs it."""
FIRST_GUESS = 1 << 20
"""Assumed size of an image in bytes before any has been read."""

_Read: TypeAlias = "tuple[Content | NotModified, int] | None"
"""A content and its reserved bytes; None where there was no room for it."""


class ReadAhead:
    """Threads that read images at URLs as soon as their chunk is submitted."""

    def __init__(
        self,
        *,
        readers: int = READERS,
        max_bytes: int = MAX_BYTES,
        first_guess: int = FIRST_GUESS,
    ) -> None:
        self.chunks = 0
        """Number of additional pending chunks; 0 until there is an image at a URL."""
        self._readers = readers
        self._pool: ThreadPoolExecutor | None = None
        self._stop = Event()
        self._room = _Room(max_bytes, first_guess)

    def begin(self, chunk: Sequence[ImageTask]) -> Sequence[Read] | None:
        """Start reading the images of a chunk; returns functions that return their contents.

        None where all of them are local files, which are read when needed.
        """
        if not any(_is_remote(task) for task in chunk):
            return None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._readers, "cbir-read", stop_at, (self._stop,))
            self.chunks = READ_AHEAD
        pool = self._pool
        return [partial(self._take, pool, task, pool.submit(self._read, task)) for task in chunk]

    def close(self, *, interrupted: bool) -> None:
        """Wait for the reads in progress; if the run was interrupted, they are not retried."""
        if interrupted:  # a server may have requested a wait of a minute
            self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _read(self, task: ImageTask) -> _Read:
        """Read an image, in a reader's thread. Raises ImageError."""
        reserved = self._room.reserve(_listed_version(task).size)
        if reserved is None:
            return None
        size = 0
        try:
            content = task.read()
            size = len(content.data) if isinstance(content, Content) else 0
        finally:
            self._room.hold(size, of=reserved)
        return content, size

    def _take(
        self, pool: ThreadPoolExecutor, task: ImageTask, reading: Future[_Read]
    ) -> Content | NotModified:
        """Take over an image that was read, in a worker's thread. Raises ImageError."""
        read = reading.result()
        if read is None:  # not read ahead; a reader's thread reads it, whose retries can be stopped
            return pool.submit(task.read).result()
        content, size = read
        self._room.hold(0, of=size)
        return content


class _Room:
    """Counts the bytes in memory; an unknown size counts as the largest so far."""

    def __init__(self, max_bytes: int, first_guess: int) -> None:
        self._lock = Lock()
        self._max_bytes = max_bytes
        self._held = 0
        self._largest = first_guess

    def reserve(self, size: int | None) -> int | None:
        """Reserve bytes for one image; None where there is no room."""
        with self._lock:
            wanted = self._largest if size is None else size
            if self._held and self._held + wanted > self._max_bytes:
                return None
            self._held += wanted
            return wanted

    def hold(self, size: int, *, of: int) -> None:
        """Replace `of` reserved bytes by the image's actual size."""
        with self._lock:
            self._held += size - of
            self._largest = max(self._largest, size)


def _is_remote(task: ImageTask) -> bool:
    return not isinstance(task.image, bytes) and is_remote(task.image.uri)


def _listed_version(task: ImageTask) -> ImageVersion:
    if isinstance(task.image, bytes):
        return ImageVersion(len(task.image))
    return task.image.version
