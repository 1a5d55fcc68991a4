"""Rows read lately, kept in memory for as long as nobody has committed anything.

A read by SQLAlchemy costs some 0.3 ms of processor time, most of it in Python; SQLite tells in
5 µs whether the catalogue is still what it was. Whatever process commits, the next read notices.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine

__all__ = ["CommitWatcher", "RowCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CommitWatcher:
    """Tells commits to a database from one another, whoever makes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._asked: Any = None
        """A connection of its own, outside the pool, which only ever asks this."""

    def last(self) -> int | None:
        """A number that the next commit changes; None where that cannot be known."""
        if self._engine.dialect.name != "sqlite":
            return None
        with self._lock:
            try:
                if self._asked is None:
                    self._asked = self._engine.raw_connection()
                    self._asked.detach()
                driver = self._asked.dbapi_connection
                return int(driver.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error:  # locked, gone, damaged: whoever reads next finds out and says so
                return None

    def close(self) -> None:
        with self._lock:
            if self._asked is not None:
                self._asked.close()
            self._asked = None


class RowCache(Generic[K, V]):
    """What `read` finds under keys; of what was asked for last, `most` are kept.

    Values are shared between all who ask. Safe to use from several threads.
    """

    def __init__(
        self, commits: CommitWatcher, read: Callable[[Sequence[K]], Mapping[K, V]], *, most: int
    ) -> None:
        self._commits = commits
        self._read = read
        self._most = most
        self._lock = threading.Lock()
        self._commit: int | None = None
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, keys: Iterable[K]) -> dict[K, V]:
        """The values under these keys as of now, in their order; keys without one are absent."""
        asked = list(keys)
        # Asked before reading: what is read may then be newer than this commit, never older.
        commit = self._commits.last()
        if commit is None or 2 * len(asked) > self._most:  # so many would drive out all others
            return _of(asked, self._read(asked))
        with self._lock:
            if commit != self._commit:
                self._values.clear()
                self._commit = commit
            found = _of(asked, self._values)
            for key in found:
                self._values.move_to_end(key)
        missing = [key for key in asked if key not in found]
        if missing:
            fresh = self._read(missing)
            found.update(fresh)
            with self._lock:
                if commit == self._commit:
                    self._values.update(fresh)
                    while len(self._values) > self._most:
                        self._values.popitem(last=False)
            found = _of(asked, found)
        return found


def _of(keys: Sequence[K], values: Mapping[K, V]) -> dict[K, V]:
    return {key: values[key] for key in keys if key in values}
