"""What a reranker needs of each image: made once, then kept in the gallery's catalogue.

A descriptor belongs to the content that was indexed. It goes when its image is removed or
indexed anew, and a file that has changed since it was indexed is not described at all: its
embedding, too, still stands for the old content.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from cbir.catalog.rows import DescriptorRow
from cbir.config import available_cores
from cbir.errors import CbirError, GalleryError, ImageError
from cbir.gallery import Gallery
from cbir.images import open_rgb
from cbir.similarity import LocalFeatures, Pixels, extract, to_grey
from cbir.similarity.arrays import to_rgb
from cbir.similarity.keypoints import EXTRACTION_SIDE
from cbir.similarity.opencv import opencv
from cbir.similarity.picture import LITTLE_BYTES, Littles, little
from cbir.sources.reading import read_indexed
from cbir.types import FailedImage, ImageRecord

__all__ = [
    "COLOUR",
    "GREY",
    "LITTLE",
    "ORB",
    "SIFT",
    "Described",
    "Descriptor",
    "descriptors_of",
    "ensure_descriptors",
]

log = logging.getLogger(__name__)

IMAGES_PER_COMMIT = 64
"""At most 6 MB in memory, and at most two seconds of work lost by a kill."""

GREY_SIDE = 96
"""Pixels: small enough that a slight shift or another crop does not undo a resemblance."""

LITTLE_SIDE = 128
"""Pixels from which a picture of 32 is averaged: a JPEG is decoded at an eighth for it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Descriptor(Generic[T]):
    """One kind of descriptor: how it is made from an image, and how it is kept."""

    method: str
    make: Callable[[Pixels], T]
    """From the image, (H, W, 3), as shrunk by `cbir.images.open_rgb` to `side`."""
    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]
    """What `encode` wrote. Raises ValueError for anything else."""
    side: int = EXTRACTION_SIDE

    def describe(self, data: bytes) -> T:
        """From an encoded image. Raises ImageError."""
        return self.make(np.asarray(open_rgb(data, max_side=self.side), np.uint8))


def _squashed(image: Pixels) -> Pixels:
    """The whole image at (96, 96)."""
    size = GREY_SIDE, GREY_SIDE
    return np.asarray(opencv().resize(image, size, interpolation=opencv().INTER_AREA), np.uint8)


def _grey(image: Pixels) -> Pixels:
    """(H, W, 3) → (96, 96)."""
    return _squashed(to_grey(image))


def _colour(image: Pixels) -> Pixels:
    """(H, W, 3) → (96, 96, 3)."""
    return _squashed(to_rgb(image))


def _decode_colour(data: bytes) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(GREY_SIDE, GREY_SIDE, 3)


def _decode_grey(data: bytes) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(GREY_SIDE, GREY_SIDE)


def _decode_little(data: bytes) -> Littles:
    return np.frombuffer(data, np.uint8).reshape(LITTLE_BYTES)


SIFT = Descriptor(
    "sift", partial(extract, method="sift"), LocalFeatures.to_bytes, LocalFeatures.from_bytes
)
ORB = Descriptor(
    "orb", partial(extract, method="orb"), LocalFeatures.to_bytes, LocalFeatures.from_bytes
)
GREY: Descriptor[Pixels] = Descriptor(
    "grey", _grey, np.ndarray.tobytes, _decode_grey, side=2 * GREY_SIDE
)
COLOUR: Descriptor[Pixels] = Descriptor(
    "colour", _colour, np.ndarray.tobytes, _decode_colour, side=2 * GREY_SIDE
)

LITTLE: Descriptor[Littles] = Descriptor(
    "phash", little, np.ndarray.tobytes, _decode_little, side=LITTLE_SIDE
)

DESCRIPTORS: dict[str, Descriptor[Any]] = {
    kind.method: kind for kind in (SIFT, ORB, GREY, COLOUR, LITTLE)
}
"""By method: what a gallery can keep of its images. SSIM compares the `grey` ones, the search for
duplicates those called `phash`, and its verification `sift` and `colour`."""


@dataclass(slots=True)
class Described(Generic[T]):
    """Descriptors by image id, and why there is none of the other images."""

    found: dict[int, T] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


def descriptors_of(gallery: Gallery, kind: Descriptor[T], ids: Sequence[int]) -> Described[T]:
    """The descriptors of some images: the stored ones, and others made and stored now.

    In a gallery that cannot be written to they are made again each time.
    """
    described: Described[T] = Described()
    for image_id, data in gallery.catalog.descriptors(ids, kind.method).items():
        try:
            described.found[image_id] = kind.decode(data)
        except ValueError as error:  # of another version, or damaged: made anew
            log.info("image %d: %s", image_id, error)
    missing = [image_id for image_id in ids if image_id not in described.found]
    for part in _make(gallery, kind, missing):
        described.found |= {row.image_id: kind.decode(row.data) for row in part.rows}
        described.failed |= part.failed
        try:
            gallery.catalog.write_descriptors(kind.method, part.rows)
        except GalleryError as error:
            log.warning("%s descriptors are not stored: %s", kind.method, error)
    for image_id in set(missing) - described.found.keys() - described.failed.keys():
        described.failed[image_id] = "no longer in the gallery"
    return described


def ensure_descriptors(
    gallery: Gallery,
    method: str,
    ids: Sequence[int] | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> list[FailedImage]:
    """Make and store the descriptors that images of a gallery lack; returns what failed.

    Of all images, or those of `ids`. Committed every 64 images: interrupted at any point, the
    next call goes on from there. `progress` is called with how many were dealt with so far, of
    the `Catalog.without_descriptors`. Raises CbirError for an unknown method (there are sift, orb,
    grey, colour and phash), GalleryError when the gallery cannot be written to.
    """
    if method not in DESCRIPTORS:
        raise CbirError(f"no descriptors {method!r}; there are {', '.join(DESCRIPTORS)}")
    missing = gallery.catalog.without_descriptors(method)
    if ids is not None:
        wanted = set(ids)
        missing = [image_id for image_id in missing if image_id in wanted]
    failed: list[FailedImage] = []
    done = 0
    for part in _make(gallery, DESCRIPTORS[method], missing):
        gallery.catalog.write_descriptors(method, part.rows)
        failed += [FailedImage(part.uris[i], reason) for i, reason in part.failed.items()]
        done += part.asked
        if progress is not None:
            progress(done)
    return failed


@dataclass(slots=True)
class _Part:
    """What was made at once, to be committed at once."""

    asked: int
    rows: list[DescriptorRow]
    failed: dict[int, str]
    uris: dict[int, str]


def _make(gallery: Gallery, kind: Descriptor[Any], ids: Sequence[int]) -> Iterator[_Part]:
    """Describe images by all cores: OpenCV and Pillow work beside other threads."""
    if not ids:
        return
    with ThreadPoolExecutor(available_cores(), "cbir-describe") as pool:
        for start in range(0, len(ids), IMAGES_PER_COMMIT):
            part = ids[start : start + IMAGES_PER_COMMIT]
            records = list(gallery.catalog.records(part).values())
            known = gallery.catalog.known([record.key for record in records])
            there = [record for record in records if record.key in known]
            hashes = [known[record.key].content_hash for record in there]
            outcomes = list(pool.map(partial(_row, kind), there, hashes))
            yield _Part(
                asked=len(part),
                rows=[made for made in outcomes if isinstance(made, DescriptorRow)],
                failed={
                    record.id: made
                    for record, made in zip(there, outcomes, strict=True)
                    if isinstance(made, str)
                },
                uris={record.id: record.uri for record in there},
            )


def _row(kind: Descriptor[Any], image: ImageRecord, indexed: bytes) -> DescriptorRow | str:
    """The descriptor of one image, or why there is none."""
    try:
        data = read_indexed(image.uri, indexed)
    except ImageError as error:
        return str(error)
    try:
        return DescriptorRow(image.id, indexed, kind.encode(kind.describe(data)))
    except ImageError as error:
        return f"cannot be read: {error}"
