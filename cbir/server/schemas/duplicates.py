"""Groups of duplicates, and what people say of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cbir.server.schemas.base import MAX_ID, Image, ImageId, RequestModel, ResponseModel


class DuplicatesQuery(RequestModel):
    verify: bool = False
    """Compare parts of pictures by keypoints, too: takes longer."""
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """Groups."""
    offset: Annotated[int, Field(ge=0, le=MAX_ID)] = 0


class ProgressResponse(ResponseModel):
    stage: str
    done: int
    total: int


class DuplicateEvidence(ResponseModel):
    """Why two images are held for copies of one another."""

    first: int
    second: int
    kind: Literal["exact", "near", "verified"]
    """The same bytes; the same picture; a part of the picture."""
    similarity: float | None
    bits: int | None
    """Of 255 of the perceptual hashes, those that differ."""
    inliers: int | None
    form: str
    """How one is the other: `mirrored`, `turned by 90°`; empty: upright."""


class DuplicateGroup(ResponseModel):
    keeper: Image
    """The one to keep: of most pixels, then of most bytes."""
    others: list[Image]
    kinds: list[Literal["exact", "near", "verified"]]
    bytes_saved: int
    """What the files of the others take."""
    evidence: list[DuplicateEvidence]


class DuplicatesResponse(ResponseModel):
    total: int
    """Groups in all."""
    redundant: int
    """Images that could go."""
    bytes_saved: int
    current: bool
    """Whether the gallery is as it was; otherwise they are being looked for again."""
    failed: int
    """Images whose files cannot be read."""
    groups: list[DuplicateGroup]


class DismissRequest(RequestModel):
    pairs: Annotated[
        list[Annotated[list[ImageId], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=1000),
    ]
    undo: bool = False


class DismissResponse(ResponseModel):
    pairs: int
    """How many have changed by it."""
