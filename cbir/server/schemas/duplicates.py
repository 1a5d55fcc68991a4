"""Models of duplicate groups and of dismissals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cbir.server.schemas.base import MAX_ID, Image, ImageId, RequestModel, ResponseModel


class DuplicatesQuery(RequestModel):
    verify: bool = False
    """Also find images that are parts of others, by keypoints; takes longer."""
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """Number of groups to return."""
    offset: Annotated[int, Field(ge=0, le=MAX_ID)] = 0


class ProgressResponse(ResponseModel):
    """Progress of the search for duplicates."""

    stage: str
    done: int
    total: int


class DuplicateEvidence(ResponseModel):
    """Evidence that two images are copies of one another."""

    first: int
    second: int
    kind: Literal["exact", "near", "verified"]
    """The same bytes (exact), the same picture (near), or a part of it (verified)."""
    similarity: float | None
    """Cosine similarity of the embeddings."""
    bits: int | None
    """Number of differing bits, of 255, of the perceptual hashes."""
    inliers: int | None
    """Keypoint matches that agree on one geometry."""
    form: str
    """The transformation between the two: `mirrored`, `turned by 90°`; empty for none."""


class DuplicateGroup(ResponseModel):
    keeper: Image
    """The image to keep: the one with the most pixels, then with the most bytes."""
    others: list[Image]
    kinds: list[Literal["exact", "near", "verified"]]
    bytes_saved: int
    """Bytes of the files of the other images."""
    evidence: list[DuplicateEvidence]


class AlikeImages(ResponseModel):
    """Two images that look alike, of which it is not proven that they are copies."""

    images: list[Image]
    reason: str


class DuplicatesResponse(ResponseModel):
    total: int
    """Number of groups."""
    redundant: int
    """Number of images that could be removed."""
    bytes_saved: int
    current: bool
    """Whether the gallery is unchanged since the search; otherwise a new search is running."""
    failed: int
    """Number of images whose files cannot be read."""
    groups: list[DuplicateGroup]
    alike: list[AlikeImages] = []
    """Pairs that look alike and are not proven to be copies: at most `limit`, on the first page."""
    alike_total: int = 0


class DismissRequest(RequestModel):
    pairs: Annotated[
        list[Annotated[list[ImageId], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=1000),
    ]
    undo: bool = False


class DismissResponse(ResponseModel):
    pairs: int
    """Number of pairs changed."""
