"""From a source of images to a gallery: decide what is new, embed it, commit it.

    source ─ pages ─► compare with the catalogue ─ chunks ─► worker threads: read, decode, embed
                                    │                                   │
                                    └── unchanged, failed ──► batch ◄───┘ ──► one transaction

Each worker takes a chunk all the way through, so that no core waits for another. Chunks are
committed in the order of the source, which makes a run repeatable.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import Literal, TypeVar

from cbir.config import available_cores
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.images import DecodedImage, decode_views
from cbir.metadata import plain
from cbir.sources import Source, SourceImage, open_source
from cbir.sources.stored import content_hash
from cbir.storage.rows import Batch, FailureRow, FileState, ImageRow, KnownImage, TouchedRow
from cbir.types import FailedImage, IndexReport

PAGE = 1000
"""Images compared with the catalogue by one statement."""
CHUNK = 16
"""Images that a worker takes at once: enough to batch, few enough to share out evenly."""
COMMIT_ROWS = 256
COMMIT_SECONDS = 5.0
"""A kill costs at most the work since the last commit."""

T = TypeVar("T")


def index_images(
    source: str | PathLike[str] | Source,
    gallery: Gallery,
    *,
    embedder: Embedder | None = None,
    retry_failed: bool = False,
    progress: Callable[[int], None] | None = None,
) -> IndexReport:
    """Bring `gallery` up to `source`: embed what is new or changed, leave the rest.

    A file is unchanged when its size and time stamp are, or else when its content hash is. One
    that cannot be read becomes a failure with its reason and is tried again when it changes, or
    at once with `retry_failed`. Interrupted at any point, the next call goes on from there.
    `progress` is called with the number of images dealt with so far.

    Raises SourceError when the source cannot be read at all, SpecMismatchError when `embedder`
    is not of the gallery's spec.
    """
    started = time.perf_counter()
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    embedder = embedder or gallery.embedder(streams=available_cores())
    gallery.check_spec(embedder.spec, "the embedder")
    ledger = _Ledger(gallery, opened.uri, progress)
    with _Workers(embedder) as workers:
        for page in _pages(opened, PAGE):
            settled, pending = _compare(page, gallery, retry_failed=retry_failed)
            ledger.enter(settled)
            for chunk in _pages(pending, CHUNK):
                ledger.enter(workers.exchange(chunk))
        for outcomes in workers.drain():
            ledger.enter(outcomes)
    ledger.close()
    gallery.vectors()
    return IndexReport(
        added=ledger.counts["added"],
        updated=ledger.counts["updated"],
        unchanged=ledger.counts["unchanged"],
        failed=tuple(ledger.failed),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Pending:
    """An image that must be read, and what is known of it so far."""

    image: SourceImage
    known: KnownImage | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one image, and the row to be written for it, if any."""

    verdict: Literal["added", "updated", "unchanged", "failed"]
    row: ImageRow | TouchedRow | FailureRow | None = None
    failure: FailedImage | None = None


def _compare(
    page: Sequence[SourceImage | FailedImage], gallery: Gallery, *, retry_failed: bool
) -> tuple[list[_Outcome], list[_Pending]]:
    """Split a page of the source into what is settled already and what must be read."""
    keys = [entry.key or entry.uri for entry in page]
    known = gallery.catalog.known(keys)
    failures = {} if retry_failed else gallery.catalog.known_failures(keys)
    settled: list[_Outcome] = []
    pending: list[_Pending] = []
    for key, entry in zip(keys, page, strict=True):
        if isinstance(entry, FailedImage):
            settled.append(_failed(entry, entry.reason, None))
            continue
        state = FileState(entry.size, entry.mtime_ns)
        failure, image = failures.get(key), known.get(key)
        if failure is not None and failure.state == state and failure.uri == entry.uri:
            settled.append(_Outcome("failed", failure=_failure(entry, failure.reason)))
        elif (
            image is not None
            and (image.state, image.uri) == (state, entry.uri)
            and entry.mtime_ns is not None
        ):
            settled.append(_same_content(entry, image, state))
        else:
            pending.append(_Pending(entry, image))
    return settled, pending


def _settle(pending: Sequence[_Pending], embedder: Embedder) -> list[_Outcome]:
    """Read, decode and embed a chunk; runs in a worker thread. Outcomes are in its order."""
    outcomes: list[_Outcome | None] = []
    decoded: list[tuple[int, bytes, DecodedImage]] = []
    for position, item in enumerate(pending):
        state = FileState(item.image.size, item.image.mtime_ns)
        try:
            data = item.image.read()
        except ImageError as error:
            # Not the content's fault, and a time stamp would not tell when it is mended.
            outcomes.append(_failed(item.image, str(error), None))
            continue
        digest = content_hash(data)
        if item.known is not None and item.known.content_hash == digest:
            outcomes.append(_same_content(item.image, item.known, state))
            continue
        try:
            image = decode_views(data, embedder.spec.preprocessing, embedder.spec.views)
        except ImageError as error:
            outcomes.append(_failed(item.image, str(error), state))
            continue
        outcomes.append(None)
        decoded.append((position, digest, image))
    embeddings = embed_views(embedder, [image.pixels for _, _, image in decoded])
    for (position, digest, image), embedding in zip(decoded, embeddings, strict=True):
        item = pending[position]
        row = ImageRow(
            key=item.image.identity,
            uri=item.image.uri,
            name=item.image.name,
            state=FileState(item.image.size, item.image.mtime_ns),
            content_hash=digest,
            width=image.width,
            height=image.height,
            metadata=item.image.metadata,
            embedding=embedding,
        )
        outcomes[position] = _Outcome("added" if item.known is None else "updated", row)
    return [outcome for outcome in outcomes if outcome is not None]


def _same_content(image: SourceImage, known: KnownImage, state: FileState) -> _Outcome:
    """An image whose pixels are as they were: at most its row needs a touch."""
    described_the_same = (plain(image.metadata), image.name, image.uri) == (
        known.metadata,
        known.name,
        known.uri,
    )
    if described_the_same and state == known.state:
        return _Outcome("unchanged")
    row = TouchedRow(known.id, image.identity, image.uri, image.name, state, image.metadata)
    return _Outcome("unchanged" if described_the_same else "updated", row)


def _failed(image: SourceImage | FailedImage, reason: str, state: FileState | None) -> _Outcome:
    failure = _failure(image, reason)
    return _Outcome("failed", FailureRow(failure.key, failure.uri, reason, state), failure)


def _failure(image: SourceImage | FailedImage, reason: str) -> FailedImage:
    return FailedImage(image.uri, reason, image.key or image.uri)


class _Workers:
    """Threads that settle chunks; at most a few chunks are under way, so memory stays bounded."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: deque[Future[list[_Outcome]]] = deque()

    def exchange(self, chunk: Sequence[_Pending]) -> list[_Outcome]:
        """Hand in a chunk; get the outcomes of the oldest one back once enough are under way."""
        if self._pool is None:  # started by the first new image: it opens the network
            self._pool = ThreadPoolExecutor(self._embedder.parallelism, "cbir-index")
        self._under_way.append(self._pool.submit(_settle, chunk, self._embedder))
        enough = len(self._under_way) > 2 * self._embedder.parallelism
        return self._under_way.popleft().result() if enough else []

    def drain(self) -> Iterator[list[_Outcome]]:
        """The outcomes of all chunks still under way."""
        while self._under_way:
            yield self._under_way.popleft().result()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class _Ledger:
    """Counts outcomes and commits their rows, a transaction for every few hundred."""

    def __init__(
        self, gallery: Gallery, source: str, progress: Callable[[int], None] | None
    ) -> None:
        self._gallery = gallery
        self._source = source
        self._progress = progress
        self._batch = Batch()
        self._committed_at = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.failed: list[FailedImage] = []

    def enter(self, outcomes: Sequence[_Outcome]) -> None:
        for outcome in outcomes:
            self.counts[outcome.verdict] += 1
            if outcome.failure is not None:
                self.failed.append(outcome.failure)
            if outcome.row is not None:
                self._batch.add(outcome.row)
        late = time.monotonic() - self._committed_at > COMMIT_SECONDS
        if len(self._batch) >= COMMIT_ROWS or (late and self._batch):
            self._commit()
        if outcomes and self._progress is not None:
            self._progress(self.counts.total())

    def close(self) -> None:
        """Commit the rest, and forget failures that the source no longer has."""
        self._commit()
        still = {failure.key for failure in self.failed}
        listed = self._gallery.catalog.failures(source=self._source)
        gone = [failure.key for failure in listed if failure.key not in still]
        if gone:
            self._gallery.catalog.forget_failures(gone)

    def _commit(self) -> None:
        self._gallery.write(self._source, self._batch)
        self._batch = Batch()
        self._committed_at = time.monotonic()


def _pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page
