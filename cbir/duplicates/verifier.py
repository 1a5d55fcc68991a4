"""Aligns pairs of images on all cores, by descriptors stored in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from typing_extensions import Self

from cbir.config import available_cores
from cbir.descriptors import descriptors_of
from cbir.descriptors.local_features import sift
from cbir.descriptors.thumbnails import colour
from cbir.duplicates.alignment import Alignable, Alignment, align
from cbir.gallery import Gallery

__all__ = ["Verifier", "alignable"]

IMAGES_IN_MEMORY = 1024
"""Images whose descriptors stay in memory: 120 MB."""


def alignable(data: bytes) -> Alignable:
    """The descriptors by which an encoded image is aligned. Raises ImageError."""
    return Alignable(sift().describe(data), colour().describe(data))


class Verifier:
    """Aligns images of a gallery with each other and with other images."""

    def __init__(self, gallery: Gallery) -> None:
        self._catalog = gallery.catalog
        self._loaded: dict[int, Alignable] = {}
        self._pool = ThreadPoolExecutor(available_cores(), "cbir-verify")
        self.failed: dict[int, str] = {}
        """The reason for each image that could not be read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def align(self, pairs: Sequence[tuple[int | Alignable, int]]) -> list[Alignment | None]:
        """The alignment of each pair; None where one of the two cannot be read.

        The first of a pair need not be an image of the gallery. Computed descriptors are stored.
        """
        self._load({image for pair in pairs for image in pair if isinstance(image, int)})
        return list(self._pool.map(self._align, pairs))

    def _align(self, pair: tuple[int | Alignable, int]) -> Alignment | None:
        first = self._loaded.get(pair[0]) if isinstance(pair[0], int) else pair[0]
        second = self._loaded.get(pair[1])
        return None if first is None or second is None else align(first, second)

    def _load(self, ids: set[int]) -> None:
        room = IMAGES_IN_MEMORY - len(self._loaded) - len(ids)
        for old in [i for i in self._loaded if i not in ids][: max(0, -room)]:
            del self._loaded[old]
        missing = sorted(ids - self._loaded.keys() - self.failed.keys())
        if not missing:
            return
        features = descriptors_of(self._catalog, sift(), missing)
        colours = descriptors_of(self._catalog, colour(), missing)
        self.failed |= features.failed | colours.failed
        for image_id in features.decoded.keys() & colours.decoded.keys():
            self._loaded[image_id] = Alignable(
                features.decoded[image_id], colours.decoded[image_id]
            )
