"""Reranking by query expansion: what the first candidates have in common is asked for, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.gallery import Gallery
from cbir.reranking.order import scored
from cbir.reranking.reranker import QueryImage
from cbir.reranking.vectors import vectors_of
from cbir.types import Hit

__all__ = ["ALPHA", "NEIGHBOURS", "QueryExpansion"]

ALPHA = 3.0
NEIGHBOURS = 10


class QueryExpansion:
    """`Reranker` by α-weighted query expansion (Radenović, Tolias and Chum 2018, section 3.3).

        q' = q + Σ max(0, sᵢ)^α vᵢ    over the n nearest candidates vᵢ of similarity sᵢ
        score of v = cosine(q', v)

    Takes no look at the images. It helps where a query has many right answers, more than n of
    them, and hurts where it has few: the wrong ones among the first n are then asked for, too.
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
