"""Descriptors of a gallery's images: read from its catalogue, or computed and stored there.

A descriptor belongs to the content that was indexed. It is removed with its image, or when the
image is indexed again. No descriptor is computed of a file that has changed since it was indexed:
its embedding is still that of the old content, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from cbir.config import available_cores
from cbir.descriptors.descriptor import Descriptor
from cbir.descriptors.registry import open_descriptor
from cbir.errors import GalleryError, GalleryReadOnlyError, reason_of
from cbir.types import DescriptorRow, FailedImage, ImageRecord

__all__ = ["DescriptorStore", "StoredDescriptors", "descriptors_of", "ensure_descriptors"]

log = logging.getLogger(__name__)

IMAGES_PER_COMMIT = 64
"""Images per transaction: at most 6 MB of memory, and two seconds of work lost if killed."""

T = TypeVar("T")


class DescriptorStore(Protocol):
    """Where descriptors are stored by image and name: a gallery's catalogue."""

    def records(self, ids: Sequence[int]) -> Mapping[int, ImageRecord]:
        """Images by id; those that are gone are absent."""
        ...

    def descriptors(self, ids: Sequence[int], method: str) -> dict[int, bytes]:
        """Stored descriptors by image id; images without one are absent."""
        ...

    def without_descriptors(self, method: str) -> list[int]:
        """Ids of the images that have no such descriptor, ascending."""
        ...

    def write_descriptors(self, method: str, rows: Sequence[DescriptorRow]) -> None:
        """Store descriptors, except of images that are gone or no longer have that content."""
        ...

    def hold_descriptors(self, method: str, rows: Sequence[DescriptorRow]) -> None:
        """Keep descriptors in memory, where they cannot be stored."""
        ...


@dataclass(slots=True)
class StoredDescriptors(Generic[T]):
    """Descriptors by image id, and the reason for each image that has none."""

    decoded: dict[int, T] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


def descriptors_of(
    store: DescriptorStore, descriptor: Descriptor[T], ids: Sequence[int]
) -> StoredDescriptors[T]:
    """The descriptors of some images: stored ones are read, missing ones computed and stored.

    In a gallery that cannot be written to, they are computed each time.
    """
    result: StoredDescriptors[T] = StoredDescriptors()
    for image_id, data in store.descriptors(ids, descriptor.name).items():
        try:
            result.decoded[image_id] = descriptor.decode(data)
        except ValueError as error:  # of another version, or damaged: computed again
            log.info("image %d: %s", image_id, error)
    missing = [image_id for image_id in ids if image_id not in result.decoded]
    for chunk in _describe(store, descriptor, missing):
        result.decoded |= {row.image_id: descriptor.decode(row.data) for row in chunk.rows}
        result.failed |= chunk.failed
        try:
            store.write_descriptors(descriptor.name, chunk.rows)
        except GalleryReadOnlyError as error:
            log.info("%s descriptors are not stored: %s", descriptor.name, error)
        except GalleryError as error:
            log.warning("%s descriptors are not stored: %s", descriptor.name, error)
    for image_id in set(missing) - result.decoded.keys() - result.failed.keys():
        result.failed[image_id] = "no longer in the gallery"
    return result


def ensure_descriptors(
    store: DescriptorStore,
    name: str,
    ids: Sequence[int] | None = None,
    *,
    images_per_commit: int = IMAGES_PER_COMMIT,
    progress: Callable[[int], None] | None = None,
) -> list[FailedImage]:
    """Compute and store missing descriptors, of all images or of `ids`; returns failures.

    `store` is a gallery's catalogue, `name` one of `DESCRIPTORS`. Interrupted at any point, the
    next call goes on from the last commit. In a gallery that can only be read, the descriptors stay
    in memory while it is open. `progress` is called with the number of images done so far, of those
    in `store.without_descriptors(name)`. Raises CbirError for an unknown name, GalleryError when
    the gallery cannot be used.
    """
    descriptor = open_descriptor(name)
    missing = store.without_descriptors(name)
    if ids is not None:
        wanted = set(ids)
        missing = [image_id for image_id in missing if image_id in wanted]
    failed: list[FailedImage] = []
    done = 0
    for chunk in _describe(store, descriptor, missing, images_per_commit):
        try:
            store.write_descriptors(name, chunk.rows)
        except GalleryReadOnlyError:
            store.hold_descriptors(name, chunk.rows)
        failed += [FailedImage(chunk.uris[i], reason) for i, reason in chunk.failed.items()]
        done += chunk.images
        if progress is not None:
            progress(done)
    return failed


@dataclass(slots=True)
class _Chunk:
    """Descriptors that are committed together."""

    images: int
    """Number of images in the chunk; those removed meanwhile have neither a row nor a reason."""
    rows: list[DescriptorRow]
    failed: dict[int, str]
    uris: dict[int, str]


def _describe(
    store: DescriptorStore,
    descriptor: Descriptor[Any],
    ids: Sequence[int],
    images_per_chunk: int = IMAGES_PER_COMMIT,
) -> Iterator[_Chunk]:
    """Compute descriptors on all cores: OpenCV and Pillow release the interpreter lock."""
    if not ids:
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(available_cores(), "cbir-describe") as pool:
        for start in range(0, len(ids), images_per_chunk):
            chunk = ids[start : start + images_per_chunk]
            records = list(store.records(chunk).values())
            outcomes = list(pool.map(partial(_row, descriptor), records))
            yield _Chunk(
                images=len(chunk),
                rows=[row for row in outcomes if isinstance(row, DescriptorRow)],
                failed={
                    record.id: reason
                    for record, reason in zip(records, outcomes, strict=True)
                    if isinstance(reason, str)
                },
                uris={record.id: record.uri for record in records},
            )


def _row(descriptor: Descriptor[Any], image: ImageRecord) -> DescriptorRow | str:
    """The descriptor of one image, or the reason why there is none."""
    from cbir.sources.reading import read_indexed

    content_hash = bytes.fromhex(image.content)
    try:
        data = read_indexed(image.uri, content_hash)
    except Exception as error:
        return reason_of(error, image.uri)
    try:
        return DescriptorRow(image.id, content_hash, descriptor.encode(descriptor.describe(data)))
    except Exception as error:  # whatever a file does to a decoder, it fails alone
        return f"cannot be read: {reason_of(error, image.uri)}"
