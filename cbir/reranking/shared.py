"""Rerankers that stay open between searches and are shared by threads."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cbir.reranking.registry import open_reranker

if TYPE_CHECKING:
    from cbir.gallery import Gallery
    from cbir.reranking.reranker import Reranker

__all__ = ["SharedRerankers"]

Key = tuple[str, int]

MOST_OPEN = 16
"""Most rerankers that stay open: each holds threads and their memory."""


class SharedRerankers:
    """Pool of a gallery's open rerankers, by name and depth.

    At most `most` stay open; one that a search still uses is closed after that search.
    """

    def __init__(self, gallery: Gallery, *, most: int = MOST_OPEN) -> None:
        self._gallery = gallery
        self._most = most
        self._open: OrderedDict[Key, Reranker] = OrderedDict()
        """In order of last use, the most recent last."""
        self._users: Counter[Key] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def use(self, name: str, depth: int) -> Iterator[Reranker]:
        """The reranker of that name and depth, not closed before the block ends.

        Raises OptionError for an unknown name, or when depth < 1.
        """
        key = name, depth
        with self._lock:
            if key not in self._open:
                self._open[key] = open_reranker(name, self._gallery, depth=depth)
            self._open.move_to_end(key)
            self._users[key] += 1
            reranker = self._open[key]
        try:
            yield reranker
        finally:
            with self._lock:
                self._users[key] -= 1
            self._close_all_but(self._most)

    def close(self) -> None:
        """Close every reranker that is not in use; those in use are closed when they are free."""
        self._most = 0
        self._close_all_but(0)

    def _close_all_but(self, most: int) -> None:
        with self._lock:
            excess = len(self._open) - most
            unused = [key for key in self._open if not self._users[key]]
            closing = [self._open.pop(key) for key in unused[: max(0, excess)]]
        for reranker in closing:
            reranker.close()
