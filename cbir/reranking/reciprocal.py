"""Reranking by reciprocal neighbours: candidates that have the query as a near neighbour rise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cbir.gallery import Gallery
from cbir.reranking.candidate_vectors import vectors_of
from cbir.reranking.reranker import QueryImage
from cbir.reranking.scoring import scored
from cbir.types import Hit

__all__ = ["K1", "K2", "LAMBDA", "KReciprocal"]

K1, K2, LAMBDA = 20, 6, 0.3
"""Neighbours that must be mutual, neighbours averaged over, and the share of the plain distance:
the values of the paper for Market-1501, which has some 15 right answers per query."""

Matrix = npt.NDArray[np.float32]


class KReciprocal:
    """`Reranker` by k-reciprocal encoding (Zhong et al. 2017), over the candidates alone.

        d*(q, v) = (1 - λ) · Jaccard distance of the encoded neighbours + λ · d(q, v)
        score of v = 1 - d*(q, v),   d the squared distance over its largest value, in [0, 1]

    Neighbours are searched among the query and its first `depth` candidates, not in the gallery.
    Reads no image. It helps where a query has many right answers, and hurts where it has fewer
    than k1: wrong ones are then among each other's k1 nearest, too.
    """

    method = "kreciprocal"

    def __init__(self, gallery: Gallery, *, depth: int) -> None:
        self.depth = depth
        self._gallery = gallery

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits by their reciprocal distance, nearest first, then the others."""
        head, vectors = vectors_of(self._gallery, hits[: self.depth])
        if not head:
            return list(hits[self.depth :])
        scores = 1 - reciprocal_distances(np.vstack([query.embedding, vectors]))
        return scored(self.method, head, scores) + list(hits[self.depth :])

    def close(self) -> None:
        """Do nothing: this reranker holds no resources."""


def reciprocal_distances(
    vectors: Matrix, *, k1: int = K1, k2: int = K2, weight: float = LAMBDA
) -> npt.NDArray[np.float32]:
    """d* of the first vector to each of the others: (1 + n, D) unit vectors → (n,), in [0, 1]."""
    distances = np.maximum(0.0, 2 - 2 * vectors @ vectors.T).astype(np.float32)
    np.fill_diagonal(distances, 0.0)
    distances /= np.maximum(distances.max(axis=1, keepdims=True), 1e-12)
    order = np.argsort(distances, axis=1, kind="stable")
    codes = _neighbour_codes(distances, order, k1)
    # Local query expansion: a code is the mean of those of its k2 nearest, itself among them.
    codes = codes[order[:, :k2]].mean(axis=1)
    common = np.minimum(codes[0], codes[1:]).sum(axis=1)
    jaccard = 1 - common / np.maximum(codes[0].sum() + codes[1:].sum(axis=1) - common, 1e-12)
    return np.asarray((1 - weight) * jaccard + weight * distances[0, 1:], np.float32)


def _neighbour_codes(distances: Matrix, order: npt.NDArray[np.intp], k1: int) -> Matrix:
    """exp(-d) of each vector's reciprocal neighbours, extended by theirs: (N, N), rows of sum 1."""
    wide, narrow = _mutual(order, k1), _mutual(order, round(k1 / 2))
    members = wide.copy()
    for row, extended in zip(wide, members, strict=True):
        for neighbour in np.flatnonzero(row):
            further = narrow[neighbour]
            if (further & row).sum() * 3 > 2 * further.sum():
                extended |= further
    weights = np.where(members, np.exp(-distances), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _mutual(order: npt.NDArray[np.intp], k: int) -> npt.NDArray[np.bool_]:
    """Pairs of N vectors that are among each other's k nearest, and each with itself: (N, N)."""
    near = np.zeros(order.shape, bool)
    np.put_along_axis(near, order[:, : k + 1], True, axis=1)
    np.fill_diagonal(near, True)  # a vector that has equals may not be its own nearest
    return np.asarray(near & near.T)
