"""Reranking by query expansion: the best candidates are added to the query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.gallery import Gallery
from cbir.reranking.candidate_vectors import vectors_of
from cbir.reranking.reranker import QueryImage
from cbir.reranking.scoring import scored
from cbir.types import Hit

__all__ = ["ALPHA", "NEIGHBOURS", "QueryExpansion"]

ALPHA = 3.0
"""Exponent of the candidates' weights."""

NEIGHBOURS = 10
"""Number of candidates added to the query."""


class QueryExpansion:
    """`Reranker` by α-weighted query expansion (Radenović, Tolias and Chum 2018, section 3.3).

        q' = q + Σ max(0, sᵢ)^α vᵢ    over the n nearest candidates vᵢ of similarity sᵢ
        score of v = cosine(q', v)

    Reads no image. It helps where a query has more than n right answers, and hurts where it has
    fewer: the wrong ones among the first n then become part of the query.
    """

    method = "aqe"

    def __init__(
        self,
        gallery: Gallery,
        *,
        depth: int,
        alpha: float = ALPHA,
        neighbours: int = NEIGHBOURS,
    ) -> None:
        self.depth = depth
        self._gallery = gallery
        self._alpha = alpha
        self._neighbours = neighbours

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits by their cosine with the expanded query, then the others."""
        head, vectors = vectors_of(self._gallery, hits[: self.depth])
        near = vectors[: self._neighbours]
        weights = np.maximum(0.0, near @ query.embedding) ** self._alpha
        expanded = query.embedding + weights @ near
        expanded /= max(float(np.linalg.norm(expanded)), 1e-12)
        return scored(self.method, head, vectors @ expanded) + list(hits[self.depth :])

    def close(self) -> None:
        """Do nothing: this reranker holds no resources."""
