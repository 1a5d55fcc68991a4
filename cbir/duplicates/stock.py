"""What a search for duplicates reads of a gallery: every different content once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.descriptors import descriptors_of, ensure_descriptors
from cbir.descriptors.thumbnails import phash
from cbir.duplicates.values import Progress
from cbir.gallery import Gallery
from cbir.similarity.perceptual_hash import PerceptualHashes, perceptual_hashes
from cbir.similarity.tiny import TINY_BYTES, TinyImages
from cbir.types import FailedImage

__all__ = ["Contents", "Stock", "load_contents", "load_littles", "load_vectors"]

IMAGES_PER_PAGE = 8192


@dataclass(frozen=True, eq=False)
class Contents:
    """The images of a gallery by content hash."""

    images: int
    ids: Ids
    """(N,) ascending: of each content the image with the lowest id."""
    copies: dict[int, list[int]]
    """The other images of that content, by that id."""
    by_hash: dict[bytes, int]
    """That id by content hash."""

    def first_of(self, image_id: int) -> int:
        """The image with the lowest id that has the same bytes."""
        return self.firsts.get(image_id, image_id)

    @cached_property
    def firsts(self) -> dict[int, int]:
        return {copy: first for first, copies in self.copies.items() for copy in copies}


@dataclass(frozen=True, slots=True, eq=False)
class Stock:
    """The pictures that could be read, in little."""

    ids: Ids
    """(N,) ascending."""
    littles: TinyImages
    prints: PerceptualHashes
    failed: tuple[FailedImage, ...] = ()


def load_contents(gallery: Gallery) -> Contents:
    """Which images have the same bytes."""
    with gallery.catalog.snapshot() as snapshot:
        contents = snapshot.contents()
    by_hash: dict[bytes, int] = {}
    copies: dict[int, list[int]] = {}
    for image_id, content in zip(contents.ids.tolist(), contents.hashes, strict=True):
        first = by_hash.setdefault(content, image_id)
        if first != image_id:
            copies.setdefault(first, []).append(image_id)
    ids = np.fromiter(by_hash.values(), np.int64, len(by_hash))
    return Contents(len(contents.ids), ids, copies, by_hash)


def load_littles(gallery: Gallery, ids: Ids, tell: Progress) -> Stock:
    """Pictures in little: those that the catalogue lacks are made from the files, and kept.

    Interrupted at any point, the next call goes on from there. Takes 1.6 kB of memory for each
    picture, with its hashes.
    """
    descriptor = phash()
    missing = np.intersect1d(gallery.catalog.without_descriptors(descriptor.name), ids)
    failed = ensure_descriptors(
        gallery.catalog,
        descriptor.name,
        missing.tolist(),
        progress=lambda done: tell("describing", done, len(missing)),
    )
    littles = np.empty((len(ids), TINY_BYTES), np.uint8)
    there = np.zeros(len(ids), bool)
    for start in range(0, len(ids), IMAGES_PER_PAGE):
        page = ids[start : start + IMAGES_PER_PAGE].tolist()
        stored = gallery.catalog.descriptors(page, descriptor.name)
        damaged = [i for i, data in stored.items() if len(data) != TINY_BYTES]
        mended = descriptors_of(gallery.catalog, descriptor, damaged).found if damaged else {}
        for row, image_id in enumerate(page, start):
            data = stored.get(image_id, b"")
            if image_id in mended:
                data = mended[image_id].tobytes()
            if len(data) == TINY_BYTES:
                littles[row] = np.frombuffer(data, np.uint8)
                there[row] = True
    kept = littles if there.all() else littles[there]
    return Stock(ids[there], kept, perceptual_hashes(kept), tuple(failed))


def load_vectors(gallery: Gallery, ids: Ids) -> Vectors:
    """The embeddings of these images (N,), ascending, as the network gave them: (N, D).

    Not as a whitened gallery compares them: what is near enough to look at is said in plain ones.
    """
    vectors = np.zeros((len(ids), gallery.spec.dim), np.float32)
    if not len(ids):
        return vectors
    with gallery.catalog.snapshot() as snapshot:
        for page_ids, page in snapshot.changed_since(0):
            rows = np.minimum(np.searchsorted(ids, page_ids), len(ids) - 1)
            wanted = ids[rows] == page_ids
            vectors[rows[wanted]] = page[wanted]
    return vectors
