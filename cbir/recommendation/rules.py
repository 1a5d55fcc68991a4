"""What may be recommended, in which order, and the value that comes out."""

from __future__ import annotations

from dataclasses import dataclass

from cbir.errors import OptionError
from cbir.filters import Filter
from cbir.types import ImageRecord

__all__ = ["DUPLICATE_SIMILARITY", "Recommendation", "Rules"]

DUPLICATE_SIMILARITY = 0.98
"""More alike than this is taken for another picture of the same thing, not for a similar one."""

POOL_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be recommended for an item, and in which order.

    With the similarity s(i, j) of the embeddings, what is recommended for item i are the k best
    j that satisfy every constraint, by

        score(i, j) = s(i, j) + β · r(j)

    where r(j) in [0, 1] is the share of images whose `weight` is smaller than that of j (equal
    ones count half), and β is `weight_strength`. With `diversity` δ the next one is always that
    of the largest (1 - δ) · score(i, j) - δ · max s(j, l) over those l chosen already: maximal
    marginal relevance (Carbonell and Goldstein 1998) with λ = 1 - δ.

    Weights and diversity choose among the `pool` most similar images that satisfy the
    constraints, so that nothing is recommended that does not look alike.
    """

    k: int = 12
    where: Filter | None = None
    """Only these images are recommended; any image may be the item."""
    same: tuple[str, ...] = ()
    """Fields in which a recommended image has the item's value.

    An unknown value is neither the same nor another: an image without one of the fields of `same`
    and `different` is not recommended, and nothing is recommended for it.
    """
    different: tuple[str, ...] = ()
    """Fields in which it has another value than the item."""
    group_by: str | None = None
    """Images of one value are one product: its best image alone is recommended, and never the
    item's own product. An image without the field is a product of its own."""
    keep_duplicates: bool = False
    """Also images of the item's very content, or more alike than `duplicate_similarity`."""
    duplicate_similarity: float = DUPLICATE_SIMILARITY
    min_similarity: float | None = None
    diversity: float = 0.0
    """δ from 0, the order of scores, to 1."""
    weight: str | None = None
    """A field of numbers (or booleans); the more, the better. Images without it have r = 0."""
    weight_strength: float = 0.1
    """β: how much similarity the best weight outweighs."""
    pool: int | None = None
    """None: 4 · k with a weight or diversity; otherwise always k."""

    def __post_init__(self) -> None:
        if self.k < 1:
            raise OptionError(f"k is {self.k}; ask for at least one recommendation")
        if not 0 <= self.diversity <= 1:
            raise OptionError(f"diversity is {self.diversity}; it lies between 0 and 1")
        if self.weight_strength < 0:
            raise OptionError(f"weight_strength is {self.weight_strength}; it is at least 0")
        if self.pool is not None and self.pool < self.k:
            raise OptionError(f"a pool of {self.pool} is too small for {self.k} recommendations")

    @property
    def chooses(self) -> bool:
        """Whether anything but similarity decides."""
        return self.diversity > 0 or (self.weight is not None and self.weight_strength > 0)

    @property
    def depth(self) -> int:
        """How many of the most similar images the recommendations are chosen among."""
        return (self.pool or POOL_FACTOR * self.k) if self.chooses else self.k


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One image that is recommended for another."""

    rank: int
    """From 1, the best."""
    image: ImageRecord
    similarity: float
    """Cosine similarity of the embeddings, in [-1, 1]; higher is more alike."""
    score: float
    """The similarity and the bonus of its weight; see `Rules`."""
