"""Pairwise reranking: compares the descriptor of the query with that of each candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from cbir.config import available_cores
from cbir.descriptors import Descriptor, descriptors_of
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.reranking.reranker import QueryImage
from cbir.reranking.scoring import by_score
from cbir.types import Hit, RerankScore

__all__ = ["PairEvidence", "PairwiseReranker"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """Evidence that two images show the same thing; never evidence against it."""

    strength: float
    """Added to the cosine similarity; 0 if no more than chance."""
    inliers: int | None = None


class PairwiseReranker(Generic[T]):
    """`Reranker` that compares the descriptors of the query with those of each candidate.

        score = cosine similarity + strength of the evidence

    Evidence is 0 where the two share no more than unrelated images do. So candidates rise by
    evidence and never sink: without any evidence the order stays as it was, and with evidence for
    several the similarity still counts. A candidate that cannot be read keeps its similarity as
    score, and a note says why; so do all when the query cannot be read.
    """

    def __init__(
        self,
        gallery: Gallery,
        descriptor: Descriptor[T],
        compare: Callable[[T, T], PairEvidence],
        *,
        method: str,
        depth: int,
    ) -> None:
        self.method = method
        self.depth = depth
        self._gallery = gallery
        self._descriptor = descriptor
        self._compare = compare
        # One pool for all searches: each thread keeps the memory in which it compares.
        self._pool = ThreadPoolExecutor(available_cores(), "cbir-rerank")

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits by score, ties in their old order, then the others."""
        head, rest = hits[: self.depth], list(hits[self.depth :])
        try:
            query_descriptor = self._describe(query)
        except ImageError as error:
            return [self._unscored(hit, f"the query {error}") for hit in head] + rest
        stored = descriptors_of(
            self._gallery.catalog, self._descriptor, [hit.image.id for hit in head]
        )

        def score(hit: Hit) -> Hit:
            if hit.image.id in stored.failed:
                return self._unscored(hit, stored.failed[hit.image.id])
            evidence = self._compare(query_descriptor, stored.decoded[hit.image.id])
            total = hit.similarity + evidence.strength
            return replace(hit, rerank=RerankScore(self.method, total, evidence.inliers))

        return by_score(self._pool.map(score, head)) + rest

    def close(self) -> None:
        """End the threads; a search in another thread must not use this reranker any more."""
        self._pool.shutdown()

    def _describe(self, query: QueryImage) -> T:
        """The query's descriptor, read from the catalogue if stored. Raises ImageError."""
        if query.id is None:
            return self._descriptor.describe(query.read())
        stored = descriptors_of(self._gallery.catalog, self._descriptor, [query.id])
        if query.id in stored.failed:
            raise ImageError(stored.failed[query.id])
        return stored.decoded[query.id]

    def _unscored(self, hit: Hit, reason: str) -> Hit:
        return replace(hit, rerank=RerankScore(self.method, hit.similarity, note=reason))
