"""The body of a search and its response; its options are those of a `SearchRequest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, Json

from cbir import retrieval
from cbir.filters import Filter
from cbir.retrieval import SEARCH_OPTIONS, QueryLike
from cbir.server.schemas.base import Fraction, Image, ImageId, RequestModel, ResponseModel, Text
from cbir.server.schemas.conditions import Condition, Conditions, where_of
from cbir.server.schemas.names import LocalFeaturesName, RerankerName
from cbir.types import Hit, SearchResult, Word

MOST_IDS = 64


class SearchOptions(RequestModel):
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Number of images to find."""
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Number of first hits to skip, for further pages."""
    where: Conditions = []
    multi_crop: bool = False
    """Also search with regions of the query; the gallery must have regions."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    matches_only: bool = False
    """Only images more similar than unrelated ones are by chance."""
    group_by: Text | None = None
    """At most `max_per_group` images with the same value in this field."""
    max_per_group: Annotated[int, Field(ge=1, le=1000)] = 1
    exact: bool = False
    """Compare with every image, even if the index is approximate."""
    rerank: RerankerName | None = None
    depth: Annotated[int, Field(ge=1, le=200)] = 50
    """Number of candidates to rerank."""

    def to_request(
        self,
        queries: Sequence[QueryLike],
        unwanted: Sequence[QueryLike] = (),
        *,
        where: Filter | None = None,
    ) -> retrieval.SearchRequest:
        """The search with these options. Raises OptionError for options that contradict."""
        options = {name: getattr(self, name) for name in SEARCH_OPTIONS if hasattr(self, name)}
        return retrieval.SearchRequest(queries, **options | {"where": where, "unwanted": unwanted})


class SimilarQuery(SearchOptions):
    """Options of a search by one image of the gallery."""

    filter: Json[Condition] | None = None
    """Conditions as a tree, in JSON."""

    def condition(self) -> Filter | None:
        """All conditions, as one filter. Raises FilterError."""
        return where_of(self.where, self.filter)


class SearchRequest(SearchOptions):
    """A search with images of the gallery or at URLs; uploads are sent beside it."""

    ids: Annotated[list[ImageId], Field(max_length=MOST_IDS)] = []
    """Images of the gallery to search with; they are never hits."""
    unwanted_ids: Annotated[list[ImageId], Field(max_length=MOST_IDS)] = []
    """Images of the gallery that hits should not resemble."""
    urls: Annotated[list[Text], Field(max_length=8)] = []
    """Images to fetch, where the server does so (`--allow-fetch`)."""
    combine: Literal["mean", "best"] = "mean"
    """Several images: search with their mean, or with each by itself."""
    crop: Annotated[list[Fraction], Field(min_length=4, max_length=4)] | None = None
    """x, y, width, height of a region of the one image, in its pixels, or as fractions where none
    exceeds 1."""
    filter: Condition | None = None
    """Conditions as a tree."""

    def condition(self) -> Filter | None:
        """All conditions, as one filter. Raises FilterError."""
        return where_of(self.where, self.filter)


class HitRerank(ResponseModel):
    method: str
    score: float
    """Score that hits are ordered by; higher is better, on the scale of the method."""
    inliers: int | None
    """Keypoints that agree on one view of one object."""
    note: str
    """Why the hit could not be reranked, or empty."""


class HitConfidence(ResponseModel):
    """How unusual a similarity is among unrelated images of the gallery."""

    p_value: float
    """The share of unrelated images that reach it."""
    expected: float
    """Expected number of unrelated images in the gallery that reach it."""
    word: Word


class HitResponse(ResponseModel):
    rank: int
    """From 1, the best."""
    similarity: float
    """Cosine similarity of the embeddings, in [-1, 1]."""
    confidence: HitConfidence | None
    """Null where the gallery has too few images to say."""
    rerank: HitRerank | None
    region: Annotated[list[float], Field(min_length=4, max_length=4)] | None
    """The matching region of the image: x, y, width, height as fractions; null for the whole
    image."""
    image: Image

    @classmethod
    def of(cls, hit: Hit) -> HitResponse:
        score, confidence = hit.rerank, hit.confidence
        return cls.model_construct(
            rank=hit.rank,
            similarity=hit.similarity,
            confidence=None
            if confidence is None
            else HitConfidence.model_construct(
                p_value=confidence.p_value,
                expected=confidence.expected,
                word=confidence.word,
            ),
            rerank=None
            if score is None
            else HitRerank.model_construct(
                method=score.method, score=score.score, inliers=score.inliers, note=score.note
            ),
            region=None if hit.region is None else list(hit.region),
            image=Image.of(hit.image),
        )


class SearchResponse(ResponseModel):
    query: str
    hits: list[HitResponse]
    timings_ms: dict[str, float]
    """Milliseconds by stage: `embed`, `search`, `rerank` if asked for, `total`."""
    reranked: int
    """Number of candidates that were reranked."""
    matched: bool | None
    """Whether any image found, here or on a page before, is a match; null where unknown."""
    notes: list[str] = []
    """What the filter has left out because it is no number, a sentence for each field."""

    @classmethod
    def of(cls, result: SearchResult) -> SearchResponse:
        return cls.model_construct(
            query=result.query,
            hits=[HitResponse.of(hit) for hit in result.hits],
            timings_ms=dict(result.timings_ms),
            reranked=result.reranked,
            matched=result.matched,
            notes=list(result.notes),
        )


class MatchesResponse(ResponseModel):
    """The verified matches of two images."""

    method: LocalFeaturesName
    tentative: int
    """Matches before verification."""
    inliers: int
    """Matches that agree on one geometry."""
    likely: bool
    """Whether this number of inliers is hardly chance."""
    spread: float
    """Share of the image that the verified matches cover."""
    places: list[Annotated[list[float], Field(min_length=4, max_length=4)]]
    """x, y in the query and x, y in the image, as shares of width and height."""
