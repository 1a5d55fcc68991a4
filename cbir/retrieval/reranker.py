"""Ordering the first candidates anew: what a reranker is given, and several queries at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cbir.types import Hit

if TYPE_CHECKING:
    from cbir.arrays import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class QueryImage:
    """A query as a reranker sees it."""

    id: int | None
    """Of an image of the gallery, whose stored descriptors then serve; None for any other."""
    embedding: Vectors
    """(D,) float32, unit norm, in the space in which the gallery's index compares."""
    read: Callable[[], bytes]
    """The encoded image. Raises ImageError."""


class Reranker(Protocol):
    """Orders the first candidates of a search anew; `cbir.reranking` has several."""

    method: str
    depth: int
    """How many candidates it judges."""

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits in a new order, each with a score; behind them all others.

        Ranks are left as they were. A candidate that cannot be judged is not an error.
        """
        ...

    def close(self) -> None:
        """Release threads and memory; called once, by whoever opened it."""
        ...


def rerank_by_all(
    reranker: Reranker, images: Sequence[QueryImage], hits: Sequence[Hit]
) -> list[Hit]:
    """As `reranker.rerank`; of several query images, the one that speaks best for a hit counts."""
    if len(images) == 1:
        return reranker.rerank(images[0], hits)
    best: dict[int, Hit] = {}
    for image in images:
        for hit in reranker.rerank(image, hits[: reranker.depth]):
            known = best.get(hit.image.id)
            if known is None or _standing(hit) > _standing(known):
                best[hit.image.id] = hit
    head = [best[hit.image.id] for hit in hits[: reranker.depth] if hit.image.id in best]
    return sorted(head, key=lambda hit: -_standing(hit)[0]) + list(hits[reranker.depth :])


def _standing(hit: Hit) -> tuple[float, bool]:
    """The score, and among equal ones whether the hit could be judged at all."""
    if hit.rerank is None:
        return hit.similarity, False
    return hit.rerank.score, not hit.rerank.note
