"""Loads contents, thumbnails and embeddings of a gallery's images, to find duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.descriptors import descriptors_of, ensure_descriptors
from cbir.descriptors.thumbnails import phash
from cbir.gallery import Gallery
from cbir.similarity.perceptual_hash import PerceptualHashes, perceptual_hashes
from cbir.similarity.tiny import TINY_BYTES, TinyImages
from cbir.types import FailedImage, StageProgress

__all__ = ["Contents", "Thumbnails", "load_contents", "load_embeddings", "load_thumbnails"]

IMAGES_PER_PAGE = 8192


@dataclass(frozen=True, eq=False)
class Contents:
    """The distinct contents of a gallery's images: images with the same bytes have one content."""

    images: int
    """Number of images."""
    ids: Ids
    """(N,) ascending: the lowest image id of each content."""
    copies: dict[int, list[int]]
    """The other images of a content, by its lowest id; only where there are any."""
    by_hash: dict[bytes, int]
    """The lowest id by content hash."""

    def first_of(self, image_id: int) -> int:
        """The lowest id of an image's content."""
        return self._first_by_copy.get(image_id, image_id)

    @cached_property
    def _first_by_copy(self) -> dict[int, int]:
        return {copy: first for first, copies in self.copies.items() for copy in copies}


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnails:
    """Tiny images of N contents and their perceptual hashes."""

    ids: Ids
    """(N,) ascending."""
    tiny: TinyImages
    hashes: PerceptualHashes
    failed: tuple[FailedImage, ...] = ()
    """Images that could not be read; they are not part of the N."""

    @property
    def compared(self) -> tuple[TinyImages, PerceptualHashes]:
        """The arguments of `perceptual_matches`."""
        return self.tiny, self.hashes


def load_contents(gallery: Gallery) -> Contents:
    """Group a gallery's images by content."""
    with gallery.catalog.snapshot() as snapshot:
        contents = snapshot.contents()
    by_hash: dict[bytes, int] = {}
    copies: dict[int, list[int]] = {}
    for image_id, content_hash in zip(contents.ids.tolist(), contents.hashes, strict=True):
        first = by_hash.setdefault(content_hash, image_id)
        if first != image_id:
            copies.setdefault(first, []).append(image_id)
    ids = np.fromiter(by_hash.values(), np.int64, len(by_hash))
    return Contents(len(contents.ids), ids, copies, by_hash)


def load_thumbnails(gallery: Gallery, ids: Ids, progress: StageProgress) -> Thumbnails:
    """Load the tiny images of these images; missing ones are computed and stored first.

    Interrupted at any point, the next call goes on from there. Takes 1.6 kB of memory per image,
    with its hashes.
    """
    catalog, descriptor = gallery.catalog, phash()
    missing = np.intersect1d(catalog.without_descriptors(descriptor.name), ids)
    failed = ensure_descriptors(
        catalog,
        descriptor.name,
        missing.tolist(),
        progress=lambda done: progress("describing", done, len(missing)),
    )
    tiny = np.empty((len(ids), TINY_BYTES), np.uint8)
    loaded = np.zeros(len(ids), bool)
    for start in range(0, len(ids), IMAGES_PER_PAGE):
        page = ids[start : start + IMAGES_PER_PAGE].tolist()
        stored = catalog.descriptors(page, descriptor.name)
        damaged = [i for i, data in stored.items() if len(data) != TINY_BYTES]
        repaired = descriptors_of(catalog, descriptor, damaged).decoded if damaged else {}
        for row, image_id in enumerate(page, start):
            data = stored.get(image_id, b"")
            if image_id in repaired:
                data = repaired[image_id].tobytes()
            if len(data) == TINY_BYTES:
                tiny[row] = np.frombuffer(data, np.uint8)
                loaded[row] = True
    tiny = tiny if loaded.all() else tiny[loaded]
    return Thumbnails(ids[loaded], tiny, perceptual_hashes(tiny), tuple(failed))


def load_embeddings(gallery: Gallery, ids: Ids) -> Vectors:
    """Load the embeddings (N, D) of these images (N,), ascending, without whitening.

    The thresholds for duplicates hold for plain embeddings.
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
