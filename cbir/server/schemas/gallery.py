"""The gallery as a whole: its images, its fields, its health."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Json

from cbir.server.schemas.base import MAX_ID, Image, RequestModel, ResponseModel, Text
from cbir.server.schemas.conditions import Condition, Conditions


class ListQuery(RequestModel):
    """Which images to list."""

    where: Conditions = []
    filter: Json[Condition] | None = None
    """Conditions as a tree, in JSON."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_ID)] = 0
    sample: bool = False
    """Some drawn at random in the place of the first ones."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Another seed, another sample."""


class ImagesResponse(ResponseModel):
    total: int
    """How many there are, or match."""
    images: list[Image]


class MetadataUpdate(RequestModel):
    """A change of an image's metadata, field by field."""

    metadata: Annotated[dict[Text, Any], Field(max_length=200)]
    """New values; null takes a field away, others stay as they are."""


class HistogramBar(ResponseModel):
    least: float | str
    """Where the bar begins; the next one begins where it ends."""
    count: int


class FieldValue(ResponseModel):
    value: str | float | bool
    count: int


class FieldFacet(ResponseModel):
    """What one field of the metadata holds, as far as its values are of one type."""

    name: str
    type: Literal["text", "number", "boolean", "date", "list"]
    count: int
    """How many values there are."""
    distinct: int
    """How many different ones."""
    least: float | str | None
    greatest: float | str | None
    """Of numbers and dates."""
    values: list[FieldValue]
    """The most frequent ones, of texts, booleans and lists."""
    histogram: list[HistogramBar]
    """Of numbers and dates, bars of one width; empty where all values are the same."""


class FieldsResponse(ResponseModel):
    fields: list[FieldFacet]


class RerankerChoice(ResponseModel):
    name: str
    label: str
    """A few words for a menu."""


class GalleryResponse(ResponseModel):
    name: str
    images: int
    failed: int
    """Files that could not be read when they were indexed."""
    generation: int
    """Grows with every change of vectors: images added, removed or embedded again, whitening."""
    index: str
    """The kind of the vector index; `scan` while it is being built."""
    backbone: str
    dim: int
    fingerprint: str
    """Of what makes embeddings comparable."""
    whitened: bool
    runtime: str
    fetches: bool
    """Whether a query may be a URL."""
    rerankers: list[RerankerChoice]
    """What `rerank` of a search may be."""
    max_upload: int
    """Bytes."""
    version: str


class HealthResponse(ResponseModel):
    status: Literal["ok"]
    detail: str = ""


class SignInRequest(RequestModel):
    token: Annotated[str, Field(min_length=1, max_length=1000)]
