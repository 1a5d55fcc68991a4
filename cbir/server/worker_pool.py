"""Threads that do the work of requests off the event loop, with a bounded queue."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from cbir.server.problem import busy

__all__ = ["WorkerPool"]

T = TypeVar("T")


class WorkerPool:
    """Threads that run requests in order of arrival, and refuse more once too many are waiting."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self.name = name
        self._threads = threads
        self._limit = threads + waiting
        self._executor = ThreadPoolExecutor(threads, f"cbir-{name}")
        self._lock = threading.Lock()
        self._accepted = 0
        self._seconds = 0.05
        """Moving average of the time one request takes."""

    @property
    def waiting(self) -> int:
        """Number of requests that no thread has started yet."""
        return max(0, self._accepted - self._threads)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread and return its result. Raises Problem (503) when too many wait."""
        with self._lock:
            if self._accepted >= self._limit:
                seconds = 1 + int(self._accepted * self._seconds / self._threads)
                raise busy(f"{self.waiting} requests are waiting already", seconds=seconds)
            self._accepted += 1
        try:
            future = self._executor.submit(copy_context().run, self._timed, work)
        except RuntimeError as error:  # shut down
            self._leave()
            raise busy("the server is shutting down") from error
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for all accepted requests to finish."""
        self._executor.shutdown()

    def _timed(self, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds += 0.1 * (time.perf_counter() - started - self._seconds)

    def _leave(self, _future: Future[T] | None = None) -> None:
        with self._lock:
            self._accepted -= 1
