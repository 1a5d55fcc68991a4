"""A cache of thumbnails in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

from cbir.images import thumbnail_jpeg

__all__ = ["SIZES", "Thumbnails"]

SIZES = (160, 320, 640, 1280)


class Thumbnails:
    """Thumbnails by content hash and size; beyond a limit, the least recently used are dropped."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, content: str, size: int) -> bytes | None:
        """The cached thumbnail, if there is one."""
        with self._lock:
            jpeg = self._cache.get((content, size))
            if jpeg is not None:
                self._cache.move_to_end((content, size))
            return jpeg

    def make(self, content: str, size: int, data: bytes) -> bytes:
        """Make and cache a JPEG of at most `size` pixels of an encoded image. Raises ImageError."""
        jpeg = thumbnail_jpeg(data, max_side=size)
        with self._lock:
            self._bytes += len(jpeg) - len(self._cache.get((content, size), b""))
            self._cache[content, size] = jpeg
            while self._bytes > self._limit:
                _, dropped = self._cache.popitem(last=False)
                self._bytes -= len(dropped)
        return jpeg
