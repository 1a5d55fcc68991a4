"""The protocol and registry of executors, which embed chunks of images, and their queue.

`EXECUTORS` is the registry; `register_executor` adds one. The local executor uses threads and
processes of this machine. Another one runs `cbir.indexing.embed_chunk` on other machines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, Protocol, TypeAlias, TypeVar

from cbir.errors import CbirError, reason_of
from cbir.indexing.process_chunk import ContentSet, EmbedderConfig
from cbir.indexing.values import ChunkResult, ImageTask, PendingImage, UnreadableImage
from cbir.registry import did_you_mean, load_part

__all__ = [
    "EXECUTORS",
    "ChunkQueue",
    "EmbedJob",
    "Executor",
    "PendingQueue",
    "open_executor",
    "pending_queue",
    "register_executor",
]

FAILURES = 3
"""Number of items that may raise in succession before the executor counts as broken."""

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """The input of an executor for a run: configuration and known contents; can be pickled."""

    config: EmbedderConfig
    contents: ContentSet
    """Contents of images that may have moved. Using it is optional and saves time."""


class ChunkExecutor(Protocol[T_contra, R]):
    """Processes chunks, several at once."""

    def chunk_size(self) -> int:
        """Number of items in a chunk. Called when there is work; may open the network."""
        ...

    def max_pending(self) -> int:
        """Number of chunks that may be pending at once; bounds memory."""
        ...

    def submit(self, chunk: Sequence[T_contra]) -> Future[Sequence[R]]:
        """Submit a chunk. Results are in the order of its items."""
        ...

    def stop(self, *, interrupted: bool) -> None:
        """End the work. After an interruption at once: pending chunks are lost."""
        ...


class Executor(ChunkExecutor[ImageTask, ChunkResult], Protocol):
    """Reads, decodes and embeds chunks of images."""

    def start(self, job: EmbedJob) -> None:
        """Prepare for a run, before any chunk; opens nothing until there is work."""
        ...


EXECUTORS: dict[str, str] = {"local": "cbir.indexing.local_executor:LocalExecutor"}
"""Name → `module:Class`; the class is called without arguments."""


def register_executor(name: str, location: str) -> None:
    """Register an executor; `location` is `module:Class`, called without arguments."""
    EXECUTORS[name] = location


def open_executor(name: str) -> Executor:
    """Create an executor. Raises ValueError for a name that is not registered."""
    if name not in EXECUTORS:
        hint = did_you_mean(name, EXECUTORS)
        raise ValueError(f"no executor {name!r}; {hint}there are {', '.join(sorted(EXECUTORS))}")
    executor: Executor = load_part(EXECUTORS[name])()
    return executor


class ChunkQueue(Generic[T, R]):
    """Submits chunks to an executor and returns their results in the same order.

    Used in a `with` block, whose end stops the executor.
    """

    def __init__(
        self,
        executor: ChunkExecutor[T, R],
        failure: Callable[[T, Exception], R] | None = None,
    ) -> None:
        """`failure` makes the result of an item that raises; without it, the queue raises."""
        self._executor = executor
        self._failure = failure
        self._works = False
        """Whether the executor has returned any result yet."""
        self._failed = 0
        """Number of items in succession that raised, each by itself."""
        self._pending: deque[tuple[Sequence[T], Future[Sequence[R]]]] = deque()

    def chunks(self, items: Iterable[T]) -> Iterator[list[T]]:
        """Group items into chunks of the executor's size, which is read with the first item."""
        iterator = iter(items)
        for first in iterator:
            yield from in_lists(chain([first], iterator), self._executor.chunk_size())

    def exchange(self, chunk: Sequence[T]) -> list[tuple[T, R]]:
        """Submit a chunk; returns the oldest one's results if enough are pending, else none."""
        self._pending.append((chunk, self._submitted(chunk)))
        return self._oldest() if len(self._pending) > self._executor.max_pending() else []

    def drain(self) -> Iterator[list[tuple[T, R]]]:
        """The results of all pending chunks."""
        while self._pending:
            yield self._oldest()

    def _oldest(self) -> list[tuple[T, R]]:
        chunk, future = self._pending.popleft()
        try:
            results = future.result()
            self._works, self._failed = True, 0
        except Exception as error:
            results = self._one_by_one(chunk, error)
        return list(zip(chunk, results, strict=True))

    def _submitted(self, chunk: Sequence[T]) -> Future[Sequence[R]]:
        try:
            return self._executor.submit(chunk)
        except Exception as error:
            refused: Future[Sequence[R]] = Future()
            refused.set_exception(error)
            return refused

    def _one_by_one(self, chunk: Sequence[T], error: Exception) -> Sequence[R]:
        """The results of a chunk that raised `error`, each item by itself.

        Raises `error` if nothing has worked yet, and after FAILURES items in succession: the
        executor is at fault then.
        """
        if self._failure is None or (isinstance(error, CbirError) and not self._works):
            raise error
        results: list[R] = []
        for item in chunk:
            outcome = error if len(chunk) == 1 else self._alone(item)
            if isinstance(outcome, Exception):
                self._failed += 1
                if self._failed == FAILURES:
                    raise error
                results.append(self._failure(item, outcome))
            else:
                results += outcome
        if not self._works:
            raise error
        return results

    def _alone(self, item: T) -> Sequence[R] | Exception:
        try:
            results = self._executor.submit([item]).result()
        except Exception as error:
            return error
        self._works, self._failed = True, 0
        return results

    def __enter__(self) -> ChunkQueue[T, R]:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._executor.stop(interrupted=kind is not None)


PendingQueue: TypeAlias = "ChunkQueue[PendingImage, ChunkResult]"
"""The queue of an indexing run."""


def pending_queue(executor: ChunkExecutor[ImageTask, ChunkResult]) -> PendingQueue:
    """A queue that takes pending images and submits their tasks."""
    return ChunkQueue(_TaskExecutor(executor), _failure)


def _failure(pending: PendingImage, error: Exception) -> ChunkResult:
    """The failure of an image whose task an executor could not do; every run tries it again."""
    return UnreadableImage(reason_of(error, pending.image.uri))


class _TaskExecutor:
    """Adapts an executor to take pending images instead of tasks."""

    def __init__(self, executor: ChunkExecutor[ImageTask, ChunkResult]) -> None:
        self._executor = executor
        self.chunk_size = executor.chunk_size
        self.max_pending = executor.max_pending
        self.stop = executor.stop

    def submit(self, chunk: Sequence[PendingImage]) -> Future[Sequence[ChunkResult]]:
        return self._executor.submit([pending.task() for pending in chunk])


def in_lists(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items in lists of `size`; the last one may be shorter."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
