"""What may be recommended, and what is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Json

from cbir.recommendation import Recommendation, Rules
from cbir.recommendation.rules import DUPLICATE_SIMILARITY
from cbir.server.schemas.base import Image, RequestModel, ResponseModel, Text
from cbir.server.schemas.conditions import Condition, Conditions, where_of


class RecommendQuery(RequestModel):
    k: Annotated[int, Field(ge=1, le=200)] = 12
    where: Conditions = []
    filter: Json[Condition] | None = None
    same: Annotated[list[Text], Field(max_length=10)] = []
    """Fields in which a recommended image has the item's value."""
    different: Annotated[list[Text], Field(max_length=10)] = []
    """Fields in which it has another one."""
    group_by: Text | None = None
    """One image per value of this field, and none of the item's own."""
    keep_duplicates: bool = False
    duplicate_similarity: Annotated[float, Field(ge=-1, le=1)] = DUPLICATE_SIMILARITY
    """Images more similar than this are duplicates of the item."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight: Text | None = None
    """A field of numbers; the more, the better."""
    weight_strength: Annotated[float, Field(ge=0, le=10)] = 0.1
    pool: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """With a weight or diversity: how many of the most similar images to choose among."""

    def rules(self) -> Rules:
        values = self.model_dump(exclude={"where", "filter", "same", "different"})
        return Rules(
            where=where_of(self.where, self.filter),
            same=tuple(self.same),
            different=tuple(self.different),
            **values,
        )


class RecommendedImage(ResponseModel):
    rank: int
    similarity: float
    score: float
    """The similarity and the bonus of its weight."""
    image: Image

    @classmethod
    def of(cls, one: Recommendation) -> RecommendedImage:
        return cls(
            rank=one.rank, similarity=one.similarity, score=one.score, image=Image.of(one.image)
        )


class RecommendationsResponse(ResponseModel):
    item: Image
    recommendations: list[RecommendedImage]
