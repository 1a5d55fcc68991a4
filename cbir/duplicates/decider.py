"""Decides about many candidate pairs on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from typing_extensions import Self

from cbir.config import available_cores
from cbir.duplicates.decision import Decision, Picture, decide_closely, decide_quickly
from cbir.duplicates.pictures import PictureReader
from cbir.gallery import Gallery
from cbir.images import RAW_SUFFIXES
from cbir.similarity.registration import Affine

__all__ = ["RAW", "Candidate", "Decider", "is_raw_name"]

UNREADABLE = "a file cannot be read again"
RAW = "camera RAW is no copy of another file, nor the reverse"


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Two images that may be copies of one another, and how the first lies over the second."""

    first: int | Picture
    """Id of an image of the gallery, or the picture of another."""
    second: int
    orientation: int = 0
    """Orientation in which the first looks like the second, one of `similarity.tiny`."""
    shares: Affine | None = None
    """Map of the first onto the second, of positions as shares of the sides; None where the whole
    pictures lie over each other."""


class Decider:
    """Reads the files of candidates and decides about each pair."""

    def __init__(self, gallery: Gallery) -> None:
        self.pictures = PictureReader(gallery)
        self._raw = gallery.catalog.ids_with_remark("raw")
        self._pool = ThreadPoolExecutor(available_cores(), "cbir-decide")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def decide(self, candidates: Sequence[Candidate]) -> list[Decision]:
        """A decision for each; `alike` where a file cannot be read as it was indexed."""
        ids = {i for c in candidates for i in (c.first, c.second) if isinstance(i, int)}
        self.pictures.expect(ids)
        return list(self._pool.map(self._decide, candidates))

    def _decide(self, candidate: Candidate) -> Decision:
        first = candidate.first
        if self._is_raw(candidate.second) or (isinstance(first, int) and self._is_raw(first)):
            return Decision("alike", RAW)
        glance = self.pictures.glance(first) if isinstance(first, int) else first.glance
        second_glance = self.pictures.glance(candidate.second)
        if glance is None or second_glance is None:
            return Decision("alike", UNREADABLE)
        quick = decide_quickly(
            glance, second_glance, orientation=candidate.orientation, shares=candidate.shares
        )
        if quick is not None:
            return quick
        picture = self.pictures.read(first) if isinstance(first, int) else first
        second = self.pictures.read(candidate.second)
        if picture is None or second is None:
            return Decision("alike", UNREADABLE)
        return decide_closely(
            picture, second, orientation=candidate.orientation, shares=candidate.shares
        )

    def _is_raw(self, image_id: int) -> bool:
        """Whether an image is camera RAW; galleries of earlier versions have no remark of it."""
        return image_id in self._raw or is_raw_name(self.pictures.uri(image_id))


def is_raw_name(uri: str) -> bool:
    """Whether a file is named as camera RAW is."""
    return PurePosixPath(uri).suffix.casefold() in RAW_SUFFIXES
