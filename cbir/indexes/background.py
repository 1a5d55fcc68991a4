"""A sample of a gallery: how similar unrelated images are in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.embedding.whitening import Projection
from cbir.indexes.protocol import VectorIndex

SIZE = 1000
"""Images drawn: the 90 % quantile of their similarities is then one of the true 88 to 92 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Images drawn from a gallery, as its index compares them."""

    generation: int
    """Generation of the catalogue as of which they were drawn."""
    count: int
    """How many images the gallery had then."""
    vectors: Vectors
    """(S, d) unit vectors."""
    projection: Projection | None
    """Projection of the vectors; None where they are plain embeddings."""

    def similarities(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (V, D) → (V, S), by the calling thread alone.

        BLAS would wake every core for a fraction of a millisecond of work, and wait for them.
        """
        import faiss

        projected = embeddings if self.projection is None else self.projection.apply(embeddings)
        queries = np.ascontiguousarray(projected, np.float32)
        if queries.shape[1] != self.vectors.shape[1]:  # FAISS does not look
            raise ValueError(f"queries of shape {queries.shape}, not (V, {self.vectors.shape[1]})")
        similarities = np.empty((len(queries), len(self.vectors)), np.float32)
        sample = faiss.swig_ptr(self.vectors)
        for query, row in zip(queries, similarities, strict=True):
            faiss.fvec_inner_products_ny(
                faiss.swig_ptr(row), faiss.swig_ptr(query), sample, len(query), len(row)
            )
        return similarities


def draw(index: VectorIndex) -> Background:
    """Up to 1000 images of an index, the same for the same images: some 10 ms of 100,000.

    Which ones depends on their ids alone. An image that comes or goes exchanges one of them at
    most, so that what is measured on them stays nearly the same while a gallery grows.
    """
    for attempt in range(3):
        generation, projection, ids = index.generation, index.projection, index.ids()
        drawn = ids
        if len(ids) > SIZE:
            drawn = np.sort(ids[np.argpartition(_scattered(ids), SIZE)[:SIZE]])
        try:
            vectors = np.ascontiguousarray(index.vectors(drawn), np.float32)
        except KeyError:  # another thread removes images meanwhile, as one may project them anew
            if attempt == 2:
                raise
            continue
        if _same(index.projection, projection) or attempt == 2:
            return Background(generation, len(ids), vectors, projection)
    raise AssertionError("unreachable")


def _same(one: Projection | None, other: Projection | None) -> bool:
    return one is other or (one is not None and other is not None and one.digest == other.digest)


def _scattered(ids: Ids) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Numbers without any order, one per id: the finaliser of SplitMix64 (Steele et al. 2014)."""
    z = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
