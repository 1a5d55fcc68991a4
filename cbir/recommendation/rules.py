"""The rules of a recommendation, and one recommended image."""

from __future__ import annotations

from dataclasses import dataclass

from cbir.errors import OptionError
from cbir.filters import Filter
from cbir.types import ImageRecord

__all__ = ["DUPLICATE_SIMILARITY", "Recommendation", "Rules"]

DUPLICATE_SIMILARITY = 0.98
"""Images more similar than this count as pictures of the same thing, not as similar things."""

POOL_FACTOR = 4
"""Candidates per recommendation among which weight and diversity choose."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which images may be recommended for an item, and in which order.

    With s(i, j) the cosine similarity of two embeddings, the images recommended for item i are the
    k images j with the highest

        score(i, j) = s(i, j) + β · r(j)

    among those that satisfy every constraint. r(j) in [0, 1] is the share of images whose `weight`
    is smaller than that of j (equal ones count half), and β is `weight_strength`. With a
    `diversity` of δ, the next image is always the one with the largest
    (1 - δ) · score(i, j) - δ · max s(j, l) over the images l chosen before: maximal marginal
    relevance (Carbonell and Goldstein 1998) with λ = 1 - δ.

    Weight and diversity choose among the `pool` most similar images that satisfy the constraints,
    so that every recommended image still looks like the item.

    Raises OptionError for values out of range, or a pool smaller than k.
    """

    k: int = 12
    """Number of images to recommend for an item."""
    where: Filter | None = None
    """Recommend only images that match this filter; any image may be the item."""
    same: tuple[str, ...] = ()
    """Fields in which a recommended image must have the item's value.

    An image without one of the fields of `same` and `different` is not recommended, and nothing is
    recommended for it.
    """
    different: tuple[str, ...] = ()
    """Fields in which a recommended image must have another value than the item."""
    group_by: str | None = None
    """Field that names the product of an image. Only the best image of each product is recommended,
    and none of the item's own product. An image without the field is a product of its own."""
    keep_duplicates: bool = False
    """Recommend duplicates of the item, too: the same bytes, or more similar than
    `duplicate_similarity`."""
    duplicate_similarity: float = DUPLICATE_SIMILARITY
    """Cosine similarity above which an image is a duplicate of the item."""
    min_similarity: float | None = None
    """Lowest similarity of a recommended image."""
    diversity: float = 0.0
    """δ: from 0 (the highest scores) to 1 (as different from one another as possible)."""
    weight: str | None = None
    """Field of numbers or booleans: images with higher values are preferred. Images without it have
    r = 0."""
    weight_strength: float = 0.1
    """β: bonus in similarity of the highest weight."""
    pool: int | None = None
    """Number of most similar images that weight and diversity choose among. None: 4 · k."""

    def __post_init__(self) -> None:
        if self.k < 1:
            raise OptionError(f"k is {self.k}; recommend at least one image")
        if not 0 <= self.diversity <= 1:
            raise OptionError(f"diversity is {self.diversity}; it lies between 0 and 1")
        if self.weight_strength < 0:
            raise OptionError(f"weight_strength is {self.weight_strength}; it is at least 0")
        if self.pool is not None and self.pool < self.k:
            raise OptionError(
                f"a pool of {self.pool} is too small for {self.k} recommendations; "
                f"make it {self.k} or more"
            )

    @property
    def reorders(self) -> bool:
        """Whether weight or diversity change the order by similarity."""
        return self.diversity > 0 or (self.weight is not None and self.weight_strength > 0)

    @property
    def depth(self) -> int:
        """Number of most similar images that the recommendations are chosen from."""
        return (self.pool or POOL_FACTOR * self.k) if self.reorders else self.k


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An image that is recommended for another one."""

    rank: int
    """From 1, the best."""
    image: ImageRecord
    similarity: float
    """Cosine similarity of the embeddings, in [-1, 1]; higher is more similar."""
    score: float
    """Similarity plus the bonus of the weight; see `Rules`."""
