"""The protocol and registry of executors, which embed chunks of images, and their queue.

`EXECUTORS` is the registry; `register_executor` adds one. The local executor uses threads and
processes of this machine. Another one runs `cbir.indexing.embed_chunk` on other machines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, Protocol, TypeAlias, TypeVar

from cbir.indexing.process_chunk import ContentSet, EmbedderConfig
from cbir.indexing.values import ChunkResult, ImageTask, PendingImage
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

    def __init__(self, executor: ChunkExecutor[T, R]) -> None:
        self._executor = executor
        self._pending: deque[tuple[Sequence[T], Future[Sequence[R]]]] = deque()

    def chunks(self, items: Iterable[T]) -> Iterator[list[T]]:
        """Group items into chunks of the executor's size, which is read with the first item."""
        iterator = iter(items)
        for first in iterator:
            yield from in_lists(chain([first], iterator), self._executor.chunk_size())

    def exchange(self, chunk: Sequence[T]) -> list[tuple[T, R]]:
        """Submit a chunk; returns the oldest one's results if enough are pending, else none."""
        self._pending.append((chunk, self._executor.submit(chunk)))
        return self._oldest() if len(self._pending) > self._executor.max_pending() else []

    def drain(self) -> Iterator[list[tuple[T, R]]]:
        """The results of all pending chunks."""
        while self._pending:
            yield self._oldest()

    def _oldest(self) -> list[tuple[T, R]]:
        chunk, future = self._pending.popleft()
        return list(zip(chunk, future.result(), strict=True))

    def __enter__(self) -> ChunkQueue[T, R]:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._executor.stop(interrupted=kind is not None)


PendingQueue: TypeAlias = "ChunkQueue[PendingImage, ChunkResult]"
"""The queue of an indexing run."""


def pending_queue(executor: ChunkExecutor[ImageTask, ChunkResult]) -> PendingQueue:
    """A queue that takes pending images and submits their tasks."""
    return ChunkQueue(_TaskExecutor(executor))


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
