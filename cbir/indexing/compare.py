"""Stage 2: compares a page of the source with the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import FailureRow, ImageRow, IndexedImage, TouchedRow
from cbir.images import readable_now
from cbir.indexing.values import (
    ChangeKind,
    CheckedImage,
    ChunkResult,
    ContentMatch,
    EmbeddedImage,
    ImageChange,
    MatchedImage,
    PendingImage,
    UnchangedImage,
)
from cbir.metadata import plain
from cbir.sources import SourceImage
from cbir.types import FailedImage, ImageVersion

__all__ = ["change_of", "compare_page"]


def compare_page(
    page: Sequence[SourceImage | FailedImage],
    catalog: Catalog | None,
    *,
    retry_failed: bool,
    check_content: bool = False,
) -> tuple[list[ImageChange], list[PendingImage]]:
    """Split a page into changes known from the listing alone, and images that must be read.

    Without a catalogue every image is new; with `check_content` all images must be read.
    """
    keys = [entry.key or entry.uri for entry in page]
    rows: Mapping[str, IndexedImage] = {} if catalog is None else catalog.indexed_images(keys)
    retried = retry_failed or check_content or catalog is None
    failures = {} if retried or catalog is None else catalog.failures_by_key(keys)
    changes: list[ImageChange] = []
    pending: list[PendingImage] = []
    for key, entry in zip(keys, page, strict=True):
        if isinstance(entry, FailedImage):
            changes.append(_failed(entry, entry.reason, None))
            continue
        indexed, failure = rows.get(key), failures.get(key)
        if failure is not None and not _concerns(failure, entry):
            failure = None
        if failure is not None and readable_now(failure.uri, failure.reason):
            failure = None
        if failure is not None and failure.version == entry.version:
            changes.append(_failed_again(entry, failure))
        elif (
            indexed is not None
            and (indexed.version, indexed.uri) == (entry.version, entry.uri)
            and entry.version.stamp is not None
            and not check_content
        ):
            changes.append(_same_content(entry, indexed, entry.version))
        else:
            pending.append(PendingImage(entry, indexed, failure, reread=check_content))
    return changes, pending


def change_of(pending: PendingImage, result: ChunkResult) -> ImageChange | ContentMatch:
    """The change that results from reading and embedding an image."""
    image = pending.image
    kind: ChangeKind = "added" if pending.indexed is None else "updated"
    if isinstance(result, EmbeddedImage):
        row = ImageRow(
            key=image.identity,
            uri=image.uri,
            name=image.name,
            version=result.version,
            content_hash=result.content_hash,
            width=result.width,
            height=result.height,
            metadata=image.metadata,
            embedding=result.embedding,
            regions=result.regions,
            remarks=result.remarks,
        )
        return ImageChange(kind, image.name, row)
    if isinstance(result, CheckedImage):
        return ImageChange(kind, image.name)
    if isinstance(result, MatchedImage):
        return ContentMatch(pending, result.content_hash, result.version)
    if isinstance(result, UnchangedImage):
        before = pending.indexed if result.modified else pending.before
        assert before is not None
        if isinstance(before, FailureRow):
            return _failed_again(image, before)
        return _same_content(image, before, result.version)
    return _failed(image, result.reason, result.version)


def _same_content(image: SourceImage, indexed: IndexedImage, version: ImageVersion) -> ImageChange:
    """The change of an image with equal content: none, or its version, name or metadata."""
    described = plain(image.metadata), image.name, image.uri
    same_description = described == (indexed.metadata, indexed.name, indexed.uri)
    # Galleries of older versions lack the entity tags.
    new_etag = indexed.version.etag is None and version.etag is not None
    if same_description and version == indexed.version and not new_etag:
        return ImageChange("unchanged", image.name)
    row = TouchedRow(indexed.id, image.identity, image.uri, image.name, version, image.metadata)
    return ImageChange("unchanged" if same_description else "touched", image.name, row)


def _failed(
    image: SourceImage | FailedImage, reason: str, version: ImageVersion | None
) -> ImageChange:
    if isinstance(image, SourceImage) and image.place is not None:
        reason = f"{reason} ({image.place})"
    failure = FailedImage(image.uri, reason, image.key or image.uri)
    row = FailureRow(failure.key, failure.uri, reason, version)
    return ImageChange("failed", failure.uri, row, failure)


def _failed_again(image: SourceImage, failure: FailureRow) -> ImageChange:
    report = FailedImage(image.uri, failure.reason, image.identity)
    return ImageChange("failed", image.name, failure=report)


def _concerns(failure: FailureRow, image: SourceImage) -> bool:
    """Whether a failure is of the image at its present URI."""
    same_row = image.place is None or failure.reason.endswith(f"({image.place})")
    return failure.uri == image.uri and same_row
