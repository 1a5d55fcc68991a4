"""What becomes of each image of a source: compared with the catalogue, read, embedded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import FailureRow, ImageRow, KnownImage, TouchedRow
from cbir.config import Region
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError
from cbir.images import DecodedImage, DecodeOptions, check_header, decode_image
from cbir.images.processes import Decode
from cbir.metadata import plain
from cbir.sources import SourceImage
from cbir.sources.base import UNKNOWN
from cbir.sources.content import Content, NotModified
from cbir.sources.reading import content_hash
from cbir.types import FailedImage, ImageVersion


@dataclass(frozen=True, slots=True)
class Pending:
    """An image that must be read, and what is known of it so far."""

    image: SourceImage
    known: KnownImage | None
    compared: bool = False
    """Whether its content was looked for among the gallery's already, so that it is embedded."""
    failure: FailureRow | None = None
    """What was wrong with the content that was there before."""
    ahead: Callable[[], Content | NotModified] | None = None
    """Gives its content, which is being read already."""

    @property
    def before(self) -> FailureRow | KnownImage | None:
        """What was read at this very place the last time."""
        if self.failure is not None and self.failure.version is not None:
            return self.failure
        moved = self.known is None or self.known.uri != self.image.uri
        return None if moved else self.known

    def content(self) -> Content | NotModified:
        """The content; None where its server says that it is as it was. Raises ImageError."""
        return self.read() if self.ahead is None else self.ahead()

    def read(self) -> Content | NotModified:
        """The content, as `content`, but read now."""
        version = None if self.before is None else self.before.version
        return self.image.fetch(UNKNOWN if version is None else version)


@dataclass(frozen=True, slots=True)
class Twin:
    """An image with the content of another one in the gallery: a copy, or that one, moved."""

    image: SourceImage
    known: KnownImage | None
    content_hash: bytes
    version: ImageVersion


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
        state = entry.version
        failure, image = failures.get(key), known.get(key)
        if failure is not None and failure.version == state and _stands(failure, entry):
            settled.append(_failed_again(entry, failure))
        elif (
            image is not None
            and (image.version, image.uri) == (state, entry.uri)
            and entry.version.stamp is not None
        ):
            settled.append(_same_content(entry, image, state))
        else:
            same = failure if failure is not None and _stands(failure, entry) else None
            pending.append(Pending(entry, image, failure=same))
    return settled, pending


def settle(
    pending: Sequence[Pending],
    embedder: Embedder,
    is_twin: IsTwin,
    decode: Decode = decode_image,
    regions: Sequence[Region] = (),
) -> list[Outcome | Twin]:
    """Read, decode and embed a chunk, images and their regions together; in a worker thread.

    Outcomes are in the order of the chunk. `decode` may do its work elsewhere.
    """
    spec = embedder.spec
    options = DecodeOptions(spec.preprocessing, spec.views, tuple(regions))
    outcomes: list[Outcome | Twin | None] = []
    decoded: list[tuple[int, bytes, ImageVersion, DecodedImage]] = []
    for position, item in enumerate(pending):
        content = _read(item, is_twin)
        if not isinstance(content, tuple):
            outcomes.append(content)
            continue
        data, digest, state = content
        try:
            image = decode(data, options)
        except ImageError as error:
            outcomes.append(_failed(item.image, str(error), state))
            continue
        outcomes.append(None)
        decoded.append((position, digest, state, image))
    vectors = embed_views(embedder, [part for *_, image in decoded for part in image.pixels])
    embeddings = vectors.reshape(len(decoded), 1 + len(regions), spec.dim)
    for (position, digest, state, image), embedding in zip(decoded, embeddings, strict=True):
        item = pending[position]
        row = ImageRow(
            key=item.image.identity,
            uri=item.image.uri,
            name=item.image.name,
            version=state,
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


def _read(item: Pending, is_twin: IsTwin) -> tuple[bytes, bytes, ImageVersion] | Outcome | Twin:
    """The encoded image, its hash and state if it is new; what became of the image if not."""
    try:
        content = item.content()
    except ImageError as error:
        # Not the content's fault, and a time stamp would not tell when it is mended.
        return _failed(item.image, str(error), None)
    if isinstance(content, NotModified):
        before = item.before
        if isinstance(before, FailureRow):
            return _failed_again(item.image, before)
        assert before is not None
        return _same_content(item.image, before, content.version)
    digest, state = content_hash(content.data), content.version
    if item.known is not None and item.known.content_hash == digest:
        return _same_content(item.image, item.known, state)
    if not item.compared and is_twin(item, digest):
        return Twin(item.image, item.known, digest, state)
    return content.data, digest, state


def _verdict(item: Pending) -> Verdict:
    return "added" if item.known is None else "updated"


def _same_content(image: SourceImage, known: KnownImage, version: ImageVersion) -> Outcome:
    """An image whose pixels are as they were: at most its row needs a touch."""
    described_the_same = (plain(image.metadata), image.name, image.uri) == (
        known.metadata,
        known.name,
        known.uri,
    )
    # Galleries of older versions lack the entity tags.
    learned = known.version.etag is None and version.etag is not None
    if described_the_same and version == known.version and not learned:
        return Outcome("unchanged", image.name)
    row = TouchedRow(known.id, image.identity, image.uri, image.name, version, image.metadata)
    return Outcome("unchanged" if described_the_same else "touched", image.name, row)


def _failed(image: SourceImage | FailedImage, reason: str, version: ImageVersion | None) -> Outcome:
    if isinstance(image, SourceImage) and image.place:
        reason = f"{reason} ({image.place})"
    failure = FailedImage(image.uri, reason, image.key or image.uri)
    row = FailureRow(failure.key, failure.uri, reason, version)
    return Outcome("failed", failure.uri, row, failure)


def _failed_again(image: SourceImage, failure: FailureRow) -> Outcome:
    told = FailedImage(image.uri, failure.reason, image.identity)
    return Outcome("failed", image.name, failure=told)


def _stands(failure: FailureRow, image: SourceImage) -> bool:
    """Whether a failure tells of the image at its present place."""
    listed = not image.place or failure.reason.endswith(f"({image.place})")
    return failure.uri == image.uri and listed
