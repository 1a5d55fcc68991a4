"""The result of a search for duplicates: groups of copies, with the evidence for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cbir.types import FailedImage, ImageRecord

__all__ = [
    "AlikeFile",
    "AlikePair",
    "Duplicates",
    "Evidence",
    "Group",
    "Kind",
    "KnownFile",
    "SourceComparison",
]

Kind: TypeAlias = Literal["exact", "near", "verified"]
"""The same bytes; the same whole picture; a part of the picture, or the picture in a frame."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence that two images are copies of one another."""

    first: int
    second: int
    """Image ids; `first` is 0 for a file that is not in the gallery."""
    kind: Kind
    similarity: float | None = None
    """Cosine of the embeddings; None where they were not compared."""
    bits: int | None = None
    """Number of differing bits of 255 of the perceptual hashes; None where not compared."""
    inliers: int | None = None
    """Local features that agree on one affine map; None where none were extracted."""
    form: str = ""
    """How the first was turned: `mirrored`, `turned by 90°`; empty where both are upright."""


@dataclass(frozen=True, slots=True)
class Group:
    """Images that are copies of one another, directly or through others of the group."""

    keeper: ImageRecord
    """The one to keep, by default with the most pixels, then the most bytes, then the lowest id;
    never a part of another one."""
    others: tuple[ImageRecord, ...]
    """Its copies, in the same order: each was compared with the keeper itself."""
    evidence: tuple[Evidence, ...]
    """Evidence for the keeper with each other image."""
    bytes_saved: int = 0
    """Bytes of the files of the others, without those that have further names."""
    links: tuple[ImageRecord, ...] = ()
    """Further names of the keeper's own file, or symbolic links: to remove them saves nothing."""

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        return (self.keeper, *self.others)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of evidence in the group, the surest first."""
        present = {evidence.kind for evidence in self.evidence}
        order: tuple[Kind, ...] = ("exact", "near", "verified")
        return tuple(kind for kind in order if kind in present)


@dataclass(frozen=True, slots=True)
class AlikePair:
    """Two images that look alike, of which it is not proven that they are copies."""

    first: ImageRecord
    second: ImageRecord
    reason: str
    """Why that cannot be told, in a few words."""
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The groups of duplicates of a gallery: large ones first, then by the keeper's id."""

    groups: tuple[Group, ...]
    images: int
    """Number of images of the gallery."""
    failed: tuple[FailedImage, ...] = ()
    """Images whose pixels were not compared, since their files cannot be read."""
    verified_pairs: int | None = None
    """Number of pairs that were aligned; None without verification."""
    seconds: float = 0.0
    alike: tuple[AlikePair, ...] = ()
    """Pairs that look alike but are not proven to be copies: for a person to look at. Nothing
    counts them as redundant."""

    @property
    def redundant(self) -> int:
        """Number of images that could be removed."""
        return sum(len(group.others) for group in self.groups)

    @property
    def bytes_saved(self) -> int:
        return sum(group.bytes_saved for group in self.groups)

    def page(self, offset: int, limit: int) -> tuple[Group, ...]:
        """At most `limit` groups from `offset` on."""
        return self.groups[offset : offset + limit]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that is a duplicate of an image of the gallery."""

    uri: str
    name: str
    size: int
    """Bytes."""
    image: ImageRecord
    """The image of the gallery; the most similar one where there are several."""
    evidence: Evidence
    content: str = ""
    """Hash of the encoded file, 32 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class AlikeFile:
    """A file that looks like an image of the gallery, which is not proven to be a copy."""

    uri: str
    name: str
    image: ImageRecord
    reason: str
    """Why that cannot be told, in a few words."""
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """The images of a source, compared with a gallery."""

    known: tuple[KnownFile, ...]
    """Files that the gallery has already."""
    new: tuple[str, ...]
    """URIs of the files that it does not have, or that are not proven to be copies."""
    failed: tuple[FailedImage, ...] = ()
    seconds: float = 0.0
    alike: tuple[AlikeFile, ...] = ()
    """Those of the new files that look like an image of the gallery."""
