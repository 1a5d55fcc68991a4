"""What a search for duplicates finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from cbir.types import FailedImage, ImageRecord

__all__ = ["Duplicates", "Evidence", "Group", "Kind", "Progress", "keeper_first"]

Kind: TypeAlias = Literal["exact", "near", "verified"]
"""The same bytes; the same whole picture; a part of the picture, or the picture in a frame."""


class Progress(Protocol):
    """Told of each stage how much of it is done: `describing`, `comparing`, `verifying`."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why two images are held for copies of one another."""

    first: int
    second: int
    """Ids; of a new file 0 stands for the first."""
    kind: Kind
    similarity: float | None = None
    """Cosine of the embeddings; None where it was not asked for."""
    bits: int | None = None
    """Of 255 of the perceptual hashes, those that differ; None where they were not compared."""
    inliers: int | None = None
    """Keypoints that agree on one place, size and rotation; None where none were looked for."""
    form: str = ""
    """How one is the other: `mirrored`, `turned by 90°`; empty: upright."""


@dataclass(frozen=True, slots=True)
class Group:
    """Images that are copies of one another, by way of each other."""

    keeper: ImageRecord
    """The one to keep: of most pixels, then of most bytes, then of the lowest id."""
    others: tuple[ImageRecord, ...]
    """In the same order."""
    evidence: tuple[Evidence, ...]
    """For the keeper and each other one, as far as there is any, and for the pairs that hold the
    group together; not every pair was compared."""

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        return (self.keeper, *self.others)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What holds the group together, the surest first."""
        there = {one.kind for one in self.evidence}
        order: tuple[Kind, ...] = ("exact", "near", "verified")
        return tuple(kind for kind in order if kind in there)

    @property
    def bytes_saved(self) -> int:
        """What the files of the others take."""
        return sum(image.size for image in self.others)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The groups of duplicates of a gallery: large ones first, then by the keeper's id."""

    groups: tuple[Group, ...]
    images: int
    """How many images the gallery has."""
    failed: tuple[FailedImage, ...] = ()
    """Images whose pixels could not be compared, since their files cannot be read."""
    verified_pairs: int | None = None
    """How many pairs were compared by keypoints; None where none were to be."""
    seconds: float = 0.0

    @property
    def redundant(self) -> int:
        """How many images could go."""
        return sum(len(group.others) for group in self.groups)

    @property
    def bytes_saved(self) -> int:
        return sum(group.bytes_saved for group in self.groups)

    def page(self, offset: int, limit: int) -> tuple[Group, ...]:
        """Some of the groups, in their order."""
        return self.groups[offset : offset + limit]


def keeper_first(images: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Images in the order in which they are worth keeping."""
    return sorted(images, key=lambda one: (-one.width * one.height, -one.size, one.id))
