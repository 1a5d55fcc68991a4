"""Lists of images, fields of the metadata, the gallery and the server's health."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Json

from cbir.server.schemas.base import MAX_ID, Image, RequestModel, ResponseModel, Text
from cbir.server.schemas.conditions import Condition, Conditions


class ListQuery(RequestModel):
    """The images to list."""

    where: Conditions = []
    filter: Json[Condition] | None = None
    """Conditions as a tree, in JSON."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_ID)] = 0
    sample: bool = False
    """Return images drawn at random instead of a page."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Seed of the random sample."""


class ImagesResponse(ResponseModel):
    total: int
    """Number of images in the gallery, or that match the conditions."""
    images: list[Image]


class MetadataUpdate(RequestModel):
    """A change of an image's metadata, field by field."""

    metadata: Annotated[dict[Text, Any], Field(max_length=200)]
    """New values by field; null removes a field, other fields stay."""


class HistogramBar(ResponseModel):
    least: float | str
    """Lower end of the bar; its upper end is that of the next one."""
    count: int


class FieldValue(ResponseModel):
    value: str | float | bool
    count: int


class FieldFacet(ResponseModel):
    """One field of the metadata, with its values of one type."""

    name: str
    type: Literal["text", "number", "boolean", "date", "list"]
    count: int
    """Number of values."""
    distinct: int
    """Number of distinct values."""
    least: float | str | None
    greatest: float | str | None
    """The range of numbers and dates; null for other types."""
    values: list[FieldValue]
    """The most frequent texts, booleans or items of lists."""
    histogram: list[HistogramBar]
    """Bars of equal width for numbers and dates; empty where all values are equal."""


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
    """Number of files that could not be indexed."""
    generation: int
    """Grows with every change of vectors: images added, removed or embedded again, whitening."""
    index: str
    """Kind of vector index; `scan` while it is being built."""
    backbone: str
    dim: int
    fingerprint: str
    """Fingerprint of the embedding: equal fingerprints mean comparable embeddings."""
    whitened: bool
    runtime: str
    fetches: bool
    """Whether a query may be a URL."""
    rerankers: list[RerankerChoice]
    """What `rerank` of a search may be."""
    max_upload: int
    """Largest upload, in bytes."""
    version: str


class HealthResponse(ResponseModel):
    status: Literal["ok"]
    detail: str = ""


class SignInRequest(RequestModel):
    token: Annotated[str, Field(min_length=1, max_length=1000)]
