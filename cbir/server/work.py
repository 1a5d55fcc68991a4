"""CPU work off the event loop: threads with a bounded queue, and one call for many images.

Measured with EfficientNet-Lite0 in OpenVINO (fp32, two cores): an image takes 12.0 to 12.8 ms of
one core whether it goes in alone or in a batch of 2, 4 or 8, by one stream of two threads or two
streams of one. Waiting a few milliseconds for others to come therefore gains nothing on a
processor and costs just that time: a worker per core takes what is next. On a GPU one call at a
time runs, and what has come meanwhile goes into the next one together.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from cbir.arrays import Pixels, Vectors
from cbir.embedding import Embedder
from cbir.embedding.wrappers import EmbedderWrapper
from cbir.server.problem import busy

__all__ = ["BatchingEmbedder", "WorkPool"]

T = TypeVar("T")

MAX_BATCH = 64
"""Images of several requests in one call of the network."""


class WorkPool:
    """Threads that work off requests in their order; when too many wait, the next is refused."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self.name = name
        self._threads = threads
        self._limit = threads + waiting
        self._executor = ThreadPoolExecutor(threads, f"cbir-{name}")
        self._lock = threading.Lock()
        self._under_way = 0
        self._seconds = 0.05
        """Of one piece of work, on a moving average."""

    @property
    def waiting(self) -> int:
        """Requests that no thread has begun."""
        return max(0, self._under_way - self._threads)

    async def run(self, work: Callable[[], T]) -> T:
        """The outcome of `work`, done in a thread. Raises Problem (503) when too many wait."""
        with self._lock:
            if self._under_way >= self._limit:
                seconds = 1 + int(self._under_way * self._seconds / self._threads)
                raise busy(f"{self.waiting} requests are waiting already", seconds=seconds)
            self._under_way += 1
        try:
            future = self._executor.submit(self._timed, work)
        except RuntimeError as error:  # shut down
            self._leave()
            raise busy("the server is shutting down") from error
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for the work under way to end."""
        self._executor.shutdown()

    def _timed(self, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds += 0.1 * (time.perf_counter() - started - self._seconds)

    def _leave(self, _future: Future[T] | None = None) -> None:
        with self._lock:
            self._under_way -= 1


class _Waiting:
    """Images of one caller, until their vectors are there."""

    __slots__ = ("done", "error", "images", "vectors")

    def __init__(self, images: Sequence[Pixels]) -> None:
        self.images = images
        self.vectors: Vectors | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class BatchingEmbedder(EmbedderWrapper):
    """An `Embedder` that puts the images of callers who wait anyway into one call.

    As many calls run at once as pay off. Whoever comes while all of them run joins the next: no
    caller waits for others to come.
    """

    def __init__(self, inner: Embedder, *, batch_seen: Callable[[int], None] | None = None) -> None:
        super().__init__(inner)
        self._batch_seen = batch_seen
        self._turns = threading.Semaphore(max(1, inner.parallelism))
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        own = _Waiting(images)
        with self._lock:
            self._queue.append(own)
        with self._turns:  # by now another caller may have taken ours along
            while not own.done.is_set():
                batch = self._next_batch()
                if not batch:
                    break
                self._run(batch)
        own.done.wait()
        if own.error is not None:
            raise own.error
        assert own.vectors is not None
        return own.vectors

    def _next_batch(self) -> list[_Waiting]:
        with self._lock:
            taken, count = 0, 0
            for waiting in self._queue:
                if taken and count + len(waiting.images) > MAX_BATCH:
                    break
                taken, count = taken + 1, count + len(waiting.images)
            batch, self._queue = self._queue[:taken], self._queue[taken:]
        return batch

    def _run(self, batch: list[_Waiting]) -> None:
        images = [image for waiting in batch for image in waiting.images]
        if self._batch_seen is not None:
            self._batch_seen(len(images))
        try:
            vectors = self._inner.embed(images)
        except BaseException as error:
            for waiting in batch:
                waiting.error = error
        else:
            start = 0
            for waiting in batch:
                waiting.vectors = vectors[start : start + len(waiting.images)]
                start += len(waiting.images)
        for waiting in batch:
            waiting.done.set()
