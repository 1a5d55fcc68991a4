"""Thumbnails, made once and kept in memory up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict

from cbir.images import thumbnail_jpeg

__all__ = ["SIZES", "Thumbnails"]

SIZES = (160, 320, 640, 1280)


class Thumbnails:
    """JPEGs by content and size; those asked for longest ago go first."""

    def __init__(self, limit: int) -> None:
        """`limit` in bytes."""
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, content: str, size: int) -> bytes | None:
        """What is kept, if it is."""
        with self._lock:
            found = self._kept.get((content, size))
            if found is not None:
                self._kept.move_to_end((content, size))
            return found

    def make(self, content: str, size: int, data: bytes) -> bytes:
        """A JPEG of at most `size` pixels of an encoded image. Raises ImageError."""
        made = thumbnail_jpeg(data, max_side=size)
        with self._lock:
            self._bytes += len(made) - len(self._kept.get((content, size), b""))
            self._kept[content, size] = made
            while self._bytes > self._limit:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone)
        return made
