"""What becomes of each image of a source: compared with the catalogue, read, embedded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from cbir.config import Region
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError
from cbir.images import DecodedImage, check_header, decode_regions
from cbir.metadata import plain
from cbir.sources import SourceImage
from cbir.sources.stored import content_hash
from cbir.storage.catalog import Catalog
from cbir.storage.rows import FailureRow, FileState, ImageRow, KnownImage, TouchedRow
from cbir.types import FailedImage

T = TypeVar("T")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Pending:
    """An image that must be read, and what is known of it so far."""

    image: SourceImage
    known: KnownImage | None
    compared: bool = False
    """Whether its content was looked for among the gallery's already, so that it is embedded."""


@dataclass(frozen=True, slots=True)
class Twin:
    """An image with the content of another one in the gallery: a copy, or that one, moved."""

    image: SourceImage
    known: KnownImage | None
    content_hash: bytes
    state: FileState


Verdict = Literal["added", "updated", "touched", "unchanged", "moved", "failed"]
IsTwin: TypeAlias = Callable[[Pending, bytes], bool]
"""Whether a content hash is that of another image of the source, whose place this may be now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image, and the row to be written for it, if any."""

    verdict: Verdict
    name: str
    row: ImageRow | TouchedRow | FailureRow | None = None
    failure: FailedImage | None = None


def compare(
    page: Sequence[SourceImage | FailedImage], catalog: Catalog | None, *, retry_failed: bool
) -> tuple[list[Outcome], list[Pending]]:
    """Split a page of the source into what is settled already and what must be read."""
    keys = [entry.key or entry.uri for entry in page]
    known: Mapping[str, KnownImage] = {} if catalog is None else catalog.known(keys)
    forgiven = retry_failed or catalog is None
    failures = {} if forgiven or catalog is None else catalog.known_failures(keys)
    settled: list[Outcome] = []
    pending: list[Pending] = []
    for key, entry in zip(keys, page, strict=True):
        if isinstance(entry, FailedImage):
            settled.append(_failed(entry, entry.reason, None))
            continue
        state = FileState(entry.size, entry.mtime_ns)
        failure, image = failures.get(key), known.get(key)
        if failure is not None and failure.state == state and failure.uri == entry.uri:
            settled.append(Outcome("failed", entry.name, failure=_failure(entry, failure.reason)))
        elif (
            image is not None
            and (image.state, image.uri) == (state, entry.uri)
            and entry.mtime_ns is not None
        ):
            settled.append(_same_content(entry, image, state))
        else:
            pending.append(Pending(entry, image))
    return settled, pending


def settle(
    pending: Sequence[Pending],
    embedder: Embedder,
    is_twin: IsTwin,
    regions: Sequence[Region] = (),
) -> list[Outcome | Twin]:
    """Read, decode and embed a chunk, images and their regions together; in a worker thread.

    Outcomes are in the order of the chunk.
    """
    spec = embedder.spec
    outcomes: list[Outcome | Twin | None] = []
    decoded: list[tuple[int, bytes, FileState, DecodedImage]] = []
    for position, item in enumerate(pending):
        content = _read(item, is_twin)
        if not isinstance(content, tuple):
            outcomes.append(content)
            continue
        data, digest = content
        try:
            image = decode_regions(data, spec.preprocessing, spec.views, regions)
        except ImageError as error:
            outcomes.append(_failed(item.image, str(error), _state(item.image, data)))
            continue
        outcomes.append(None)
        decoded.append((position, digest, _state(item.image, data), image))
    vectors = embed_views(embedder, [part for *_, image in decoded for part in image.pixels])
    embeddings = vectors.reshape(len(decoded), 1 + len(regions), spec.dim)
    for (position, digest, state, image), embedding in zip(decoded, embeddings, strict=True):
        item = pending[position]
        row = ImageRow(
            key=item.image.identity,
            uri=item.image.uri,
            name=item.image.name,
            state=state,
            content_hash=digest,
            width=image.width,
            height=image.height,
            metadata=item.image.metadata,
            embedding=embedding[0],
            regions=embedding[1:] if regions else None,
        )
        outcomes[position] = Outcome(_verdict(item), item.image.name, row)
    return [outcome for outcome in outcomes if outcome is not None]


def examine(pending: Sequence[Pending], is_twin: IsTwin) -> list[Outcome | Twin]:
    """What `settle` would do with a chunk, as far as files' headers tell; nothing is decoded."""
    outcomes: list[Outcome | Twin] = []
    for item in pending:
        content = _read(item, is_twin)
        if not isinstance(content, tuple):
            outcomes.append(content)
            continue
        try:
            check_header(content[0])
            outcomes.append(Outcome(_verdict(item), item.image.name))
        except ImageError as error:
            outcomes.append(_failed(item.image, str(error), None))
    return outcomes


def _read(item: Pending, is_twin: IsTwin) -> tuple[bytes, bytes] | Outcome | Twin:
    """The encoded image and its hash if the content is new; what became of the image if not."""
    try:
        data = item.image.read()
    except ImageError as error:
        # Not the content's fault, and a time stamp would not tell when it is mended.
        return _failed(item.image, str(error), None)
    digest = content_hash(data)
    if item.known is not None and item.known.content_hash == digest:
        return _same_content(item.image, item.known, _state(item.image, data))
    if not item.compared and is_twin(item, digest):
        return Twin(item.image, item.known, digest, _state(item.image, data))
    return data, digest


def _verdict(item: Pending) -> Verdict:
    return "added" if item.known is None else "updated"


def _state(image: SourceImage, data: bytes) -> FileState:
    # Not every listing knows sizes.
    return FileState(len(data) if image.size is None else image.size, image.mtime_ns)


def _same_content(image: SourceImage, known: KnownImage, state: FileState) -> Outcome:
    """An image whose pixels are as they were: at most its row needs a touch."""
    described_the_same = (plain(image.metadata), image.name, image.uri) == (
        known.metadata,
        known.name,
        known.uri,
    )
    if described_the_same and state == known.state:
        return Outcome("unchanged", image.name)
    row = TouchedRow(known.id, image.identity, image.uri, image.name, state, image.metadata)
    return Outcome("unchanged" if described_the_same else "touched", image.name, row)


def _failed(image: SourceImage | FailedImage, reason: str, state: FileState | None) -> Outcome:
    failure = _failure(image, reason)
    row = FailureRow(failure.key, failure.uri, reason, state)
    return Outcome("failed", failure.uri, row, failure)


def _failure(image: SourceImage | FailedImage, reason: str) -> FailedImage:
    return FailedImage(image.uri, reason, image.key or image.uri)


class Workers(Generic[T, Done]):
    """Threads that work on chunks; at most a few chunks are under way, so memory stays bounded."""

    def __init__(
        self, work: Callable[[Sequence[T]], Sequence[Done]], parallelism: Callable[[], int]
    ) -> None:
        """`parallelism` is asked only when there is work: an embedder opens its network for it."""
        self._work = work
        self._parallelism = parallelism
        self._enough = 0
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: deque[Future[Sequence[Done]]] = deque()

    def exchange(self, chunk: Sequence[T]) -> Sequence[Done]:
        """Hand in a chunk; get the outcomes of the oldest one back once enough are under way."""
        if self._pool is None:
            threads = self._parallelism()
            self._enough = 2 * threads
            self._pool = ThreadPoolExecutor(threads, "cbir-index")
        self._under_way.append(self._pool.submit(self._work, chunk))
        full = len(self._under_way) > self._enough
        return self._under_way.popleft().result() if full else []

    def drain(self) -> Iterator[Sequence[Done]]:
        """The outcomes of all chunks still under way."""
        while self._under_way:
            yield self._under_way.popleft().result()

    def __enter__(self) -> Workers[T, Done]:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
