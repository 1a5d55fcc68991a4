"""Threads that work on chunks of images, and threads that read ahead of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Generic, Protocol, TypeVar

from cbir.indexing.crew import Crew

T = TypeVar("T")
Done = TypeVar("Done")


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items in lists of `size`; the last one may be shorter."""
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page


class Ahead(Protocol[T]):
    """Begins something for a chunk as soon as it is handed in."""

    chunks: int
    """How many chunks more may be under way for its sake."""

    def begin(self, chunk: Sequence[T]) -> Sequence[T]:
        """The chunk as it is to be worked on."""
        ...

    def close(self, *, interrupted: bool) -> None:
        """End what is under way; at once if interrupted."""
        ...


class Workers(Generic[T, Done]):
    """Threads that work on chunks; at most a few chunks are under way, so memory stays bounded."""

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[Done]],
        crew: Crew,
        *,
        ahead: Ahead[T] | None = None,
    ) -> None:
        self._work = work
        self._crew = crew
        self._ahead = ahead
        self._enough = 0
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: deque[Future[Sequence[Done]]] = deque()

    def chunks(self, items: Iterable[T]) -> Iterator[list[T]]:
        """Items as they are to be handed in: so many at a time as a thread takes."""
        iterator = iter(items)
        for first in iterator:
            yield from pages(chain([first], iterator), self._crew.chunk())

    def exchange(self, chunk: Sequence[T]) -> Sequence[Done]:
        """Hand in a chunk; get the outcomes of the oldest one back once enough are under way."""
        if self._pool is None:
            threads = self._crew.assemble()
            self._enough = 2 * threads
            self._pool = ThreadPoolExecutor(threads, "cbir-index")
        enough = self._enough
        if self._ahead is not None:
            chunk = self._ahead.begin(chunk)
            enough += self._ahead.chunks
        self._under_way.append(self._pool.submit(self._work, chunk))
        return self._under_way.popleft().result() if len(self._under_way) > enough else []

    def drain(self) -> Iterator[Sequence[Done]]:
        """The outcomes of all chunks still under way."""
        while self._under_way:
            yield self._under_way.popleft().result()

    def __enter__(self) -> Workers[T, Done]:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if self._ahead is not None:
            self._ahead.close(interrupted=kind is not None)
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
