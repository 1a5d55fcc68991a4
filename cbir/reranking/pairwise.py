"""Reranking by what the query shares with each candidate, image against image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from cbir.config import available_cores
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.reranking.descriptors import Descriptor, descriptors_of
from cbir.reranking.order import by_score
from cbir.reranking.reranker import QueryImage
from cbir.types import Hit, RerankScore

__all__ = ["Evidence", "PairwiseReranker"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a comparison says for a pair; never against it."""

    strength: float
    """From 0, no more than chance; added to the cosine similarity."""
    inliers: int | None = None


class PairwiseReranker(Generic[T]):
    """`Reranker` that compares the descriptors of the query with those of each candidate.

        score = cosine similarity + strength of the evidence

    Evidence is 0 where the two share no more than unrelated images do, so that a candidate is
    lifted for a reason and never sinks: without any evidence the order stays as it was, and with
    evidence for several the similarity still counts. A candidate that cannot be read keeps its
    similarity as score, and a note says why; so do all when the query cannot be read.
    """

    def __init__(
        self,
        gallery: Gallery,
        kind: Descriptor[T],
        weigh: Callable[[T, T], Evidence],
        *,
        method: str,
        depth: int,
    ) -> None:
        self.method = method
        self.depth = depth
        self._gallery = gallery
        self._kind = kind
        self._weigh = weigh
        # Kept, since a thread of its own keeps the memory in which it compares.
        self._pool = ThreadPoolExecutor(available_cores(), "cbir-rerank")

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits by score, equal ones as they were; behind them the others."""
        head, rest = hits[: self.depth], list(hits[self.depth :])
        try:
            own = self._describe(query)
        except ImageError as error:
            return [self._unjudged(hit, f"the query {error}") for hit in head] + rest
        stored = descriptors_of(self._gallery, self._kind, [hit.image.id for hit in head])

        def judge(hit: Hit) -> Hit:
            if hit.image.id in stored.failed:
                return self._unjudged(hit, stored.failed[hit.image.id])
            evidence = self._weigh(own, stored.found[hit.image.id])
            score = hit.similarity + evidence.strength
            return replace(hit, rerank=RerankScore(self.method, score, evidence.inliers))

        return by_score(self._pool.map(judge, head)) + rest

    def _describe(self, query: QueryImage) -> T:
        """The query's descriptor, the stored one if it has one. Raises ImageError."""
        if query.id is None:
            return self._kind.describe(query.read())
        described = descriptors_of(self._gallery, self._kind, [query.id])
        if query.id in described.failed:
            raise ImageError(described.failed[query.id])
        return described.found[query.id]

    def _unjudged(self, hit: Hit, why: str) -> Hit:
        return replace(hit, rerank=RerankScore(self.method, hit.similarity, note=why))
