"""Pairs of images compared by keypoints, with what they need kept in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cbir.config import available_cores
from cbir.descriptors import descriptors_of
from cbir.descriptors.local_features import sift
from cbir.descriptors.thumbnails import colour
from cbir.duplicates.parts import Aligned, align
from cbir.gallery import Gallery
from cbir.similarity import LocalFeatures, Pixels

__all__ = ["Shape", "Verifier", "shape_of"]

Shape = tuple[LocalFeatures, Pixels]
"""Keypoints, and the whole in little."""

KEPT = 1024
"""Images whose descriptors stay in memory: 120 MB."""


def shape_of(data: bytes) -> Shape:
    """What `align` takes, of an encoded image. Raises ImageError."""
    return sift().describe(data), colour().describe(data)


class Verifier:
    """Compares images of a gallery with each other, and with others."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._kept: dict[int, Shape] = {}
        self._pool = ThreadPoolExecutor(available_cores(), "cbir-verify")
        self.failed: dict[int, str] = {}
        """Why images could not be compared."""

    def compare(self, pairs: Sequence[tuple[int | Shape, int]]) -> list[Aligned | None]:
        """Each pair, laid on one another; None where one of them cannot be read.

        Of a pair, the first may be no image of the gallery. Descriptors that are made are stored.
        """
        ids = {i for pair in pairs for i in pair if isinstance(i, int)}
        self._load(ids)
        return list(self._pool.map(self._align, pairs))

    def close(self) -> None:
        self._pool.shutdown()

    def _align(self, pair: tuple[int | Shape, int]) -> Aligned | None:
        first = self._kept.get(pair[0]) if isinstance(pair[0], int) else pair[0]
        second = self._kept.get(pair[1])
        return None if first is None or second is None else align(first, second)

    def _load(self, ids: set[int]) -> None:
        room = KEPT - len(self._kept) - len(ids)
        for old in [i for i in self._kept if i not in ids][: max(0, -room)]:
            del self._kept[old]
        missing = sorted(ids - self._kept.keys() - self.failed.keys())
        if not missing:
            return
        points = descriptors_of(self._gallery.catalog, sift(), missing)
        colours = descriptors_of(self._gallery.catalog, colour(), missing)
        self.failed |= points.failed | colours.failed
        for image_id in points.found.keys() & colours.found.keys():
            self._kept[image_id] = points.found[image_id], colours.found[image_id]
