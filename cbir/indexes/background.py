"""A random sample of a gallery, which measures how similar unrelated images are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.embedding.whitening import Projection
from cbir.indexes.protocol import VectorIndex

SIZE = 1000
"""Sample size: the 90 % quantile of its similarities is the true quantile of 88 to 92 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Images drawn from a gallery, with their vectors as the index compares them."""

    generation: int
    """Generation of the catalogue when they were drawn."""
    count: int
    """Number of images in the gallery when they were drawn."""
    vectors: Vectors
    """(S, d) unit vectors."""
    projection: Projection | None
    """Projection of the vectors; None where they are plain embeddings."""

    def similarities(self, embeddings: Vectors) -> Vectors:
        """Similarities of unprojected embeddings to the sample: (V, D) → (V, S).

        Computed in the calling thread: starting all of BLAS's threads takes longer than the work.
        """
        import faiss

        projected = embeddings if self.projection is None else self.projection.apply(embeddings)
        queries = np.ascontiguousarray(projected, np.float32)
        if queries.shape[1] != self.vectors.shape[1]:  # FAISS does not check
            raise ValueError(f"queries of shape {queries.shape}, not (V, {self.vectors.shape[1]})")
        similarities = np.empty((len(queries), len(self.vectors)), np.float32)
        sample = faiss.swig_ptr(self.vectors)
        for query, row in zip(queries, similarities, strict=True):
            faiss.fvec_inner_products_ny(
                faiss.swig_ptr(row), faiss.swig_ptr(query), sample, len(query), len(row)
            )
        return similarities


def draw(index: VectorIndex) -> Background:
    """Draw up to 1000 images of an index, always the same ones: takes 10 ms for 100,000 images.

    The choice depends on the ids alone. Adding or removing an image changes at most one of the
    sample, so that measurements on it stay nearly the same while a gallery grows.
    """
    for attempt in range(3):
        generation, projection, ids = index.generation, index.projection, index.ids()
        drawn = ids
        if len(ids) > SIZE:
            drawn = np.sort(ids[np.argpartition(_scattered(ids), SIZE)[:SIZE]])
        try:
            vectors = np.ascontiguousarray(index.vectors(drawn), np.float32)
        except KeyError:  # another thread has removed images or changed the projection
            if attempt == 2:
                raise
            continue
        if _same(index.projection, projection) or attempt == 2:
            return Background(generation, len(ids), vectors, projection)
    raise AssertionError("unreachable")


def _same(a: Projection | None, b: Projection | None) -> bool:
    return a is b or (a is not None and b is not None and a.digest == b.digest)


def _scattered(ids: Ids) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A pseudo-random number per id: the finaliser of SplitMix64 (Steele et al. 2014)."""
    z = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
