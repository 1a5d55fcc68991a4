"""The rules of a recommendation as query parameters, and the recommended images."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Json

from cbir.recommendation import Recommendation, Rules
from cbir.server.schemas.base import Image, RequestModel, ResponseModel, Text
from cbir.server.schemas.conditions import Condition, Conditions, where_of

DEFAULTS = Rules()


class RecommendQuery(RequestModel):
    """The fields of `Rules`, within the limits of a server; `filter` is another form of `where`."""

    k: Annotated[int, Field(ge=1, le=200)] = DEFAULTS.k
    """Number of images to recommend."""
    where: Conditions = []
    filter: Json[Condition] | None = None
    """Conditions as a tree, in JSON."""
    same: Annotated[list[Text], Field(max_length=10)] = list(DEFAULTS.same)
    """Fields in which a recommended image must have the item's value."""
    different: Annotated[list[Text], Field(max_length=10)] = list(DEFAULTS.different)
    """Fields in which a recommended image must have another value than the item."""
    group_by: Text | None = DEFAULTS.group_by
    """Field that names the product: one image per product, and none of the item's own."""
    keep_duplicates: bool = DEFAULTS.keep_duplicates
    """Recommend duplicates of the item, too."""
    duplicate_similarity: Annotated[float, Field(ge=-1, le=1)] = DEFAULTS.duplicate_similarity
    """Cosine similarity above which an image is a duplicate of the item."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = DEFAULTS.min_similarity
    """Lowest similarity of a recommended image."""
    diversity: Annotated[float, Field(ge=0, le=1)] = DEFAULTS.diversity
    """From 0 (the highest scores) to 1 (as different from one another as possible)."""
    weight: Text | None = DEFAULTS.weight
    """Field of numbers: images with higher values are preferred."""
    weight_strength: Annotated[float, Field(ge=0, le=10)] = DEFAULTS.weight_strength
    """Bonus in similarity of the highest weight."""
    pool: Annotated[int, Field(ge=1, le=10_000)] | None = DEFAULTS.pool
    """Number of most similar images that weight and diversity choose among; null: 4 · k."""

    def rules(self) -> Rules:
        """The same as `Rules`. Raises OptionError for rules that contradict each other."""
        values = self.model_dump(exclude={"where", "filter", "same", "different"})
        return Rules(
            where=where_of(self.where, self.filter),
            same=tuple(self.same),
            different=tuple(self.different),
            **values,
        )


class RecommendedImage(ResponseModel):
    rank: int
    """From 1, the best."""
    similarity: float
    """Cosine similarity to the item, in [-1, 1]."""
    score: float
    """Similarity plus the bonus of the weight."""
    image: Image

    @classmethod
    def of(cls, recommendation: Recommendation) -> RecommendedImage:
        return cls(
            rank=recommendation.rank,
            similarity=recommendation.similarity,
            score=recommendation.score,
            image=Image.of(recommendation.image),
        )


class RecommendationsResponse(ResponseModel):
    item: Image
    recommendations: list[RecommendedImage]
    """The best first."""
    notes: list[str] = []
    """What the filter has left out because it is no number, a sentence for each field."""
