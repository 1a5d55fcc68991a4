"""Batches the images of several requests into one call of the network.

Measured with EfficientNet-Lite0 in OpenVINO (fp32, two cores): an image takes 12.0 to 12.8 ms of
one core whether it is embedded alone or in a batch of 2, 4 or 8, by one stream of two threads or
two streams of one. On a CPU, waiting a few milliseconds for more images therefore gains nothing and
costs just that time: each core's worker takes the next image. On a GPU one call runs at a time,
and the images that arrive meanwhile are embedded together by the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from cbir.arrays import Pixels, Vectors
from cbir.embedding import Embedder
from cbir.embedding.wrappers import EmbedderWrapper

__all__ = ["BatchingEmbedder"]

MAX_BATCH = 64
"""Most images of several requests in one call of the network."""


class _Batched:
    """The images of one caller and, in the end, their vectors or an error."""

    __slots__ = ("done", "error", "images", "vectors")

    def __init__(self, images: Sequence[Pixels]) -> None:
        self.images = images
        self.vectors: Vectors | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class BatchingEmbedder(EmbedderWrapper):
    """An embedder that embeds the images of all callers that are waiting in one call.

    As many calls run at once as `parallelism` says. Callers that arrive while all of them run are
    embedded together by the next one; no caller waits for others to arrive.
    """

    def __init__(self, inner: Embedder, *, on_batch: Callable[[int], None] | None = None) -> None:
        """`on_batch` is called with the number of images of each call of the network."""
        super().__init__(inner)
        self._on_batch = on_batch
        self._turns = threading.Semaphore(max(1, inner.parallelism))
        self._lock = threading.Lock()
        self._queue: list[_Batched] = []

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        request = _Batched(images)
        with self._lock:
            self._queue.append(request)
        with self._turns:  # another caller's batch may have included these images
            while not request.done.is_set():
                batch = self._next_batch()
                if not batch:
                    break
                self._run(batch)
        request.done.wait()
        if request.error is not None:
            raise request.error
        assert request.vectors is not None
        return request.vectors

    def _next_batch(self) -> list[_Batched]:
        with self._lock:
            taken, count = 0, 0
            for waiting in self._queue:
                if taken and count + len(waiting.images) > MAX_BATCH:
                    break
                taken, count = taken + 1, count + len(waiting.images)
            batch, self._queue = self._queue[:taken], self._queue[taken:]
        return batch

    def _run(self, batch: list[_Batched]) -> None:
        images = [image for waiting in batch for image in waiting.images]
        if self._on_batch is not None:
            self._on_batch(len(images))
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
