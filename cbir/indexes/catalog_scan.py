"""The nearest embeddings without any index: all of them are read from the catalogue each time."""

from __future__ import annotations

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.embedding.whitening import Projection
from cbir.indexes.protocol import BuiltKind
from cbir.types import Candidates

__all__ = ["CatalogScan"]


class CatalogScan:
    """`VectorIndex` that keeps nothing: slow, exact, and there at once.

    It answers while an index is being built. What is committed is seen by the next search.
    """

    kind: BuiltKind = "flat"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def generation(self) -> int:
        """Of the catalogue, as it is now."""
        return self._catalog.generation()

    def catch_up(self, catalog: Catalog) -> None:
        """There is nothing that could be behind."""

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (N, D) → as the gallery compares them (N, d)."""
        projection = self.projection
        return embeddings if projection is None else projection.apply(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Ids | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each, equal ones by ascending id."""
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        with self._catalog.snapshot() as snapshot:
            _, projection = snapshot.projection
            if projection is not None and not projected:
                queries = projection.apply(queries)
            for page, vectors in snapshot.changed_since(0):
                if allowed is not None:
                    kept = np.isin(page, allowed)
                    page, vectors = page[kept], vectors[kept]
                if not len(page):
                    continue
                compared = vectors if projection is None else projection.apply(vectors)
                both = np.concatenate([similarities, queries @ compared.T], axis=1)
                named = np.concatenate([ids, np.broadcast_to(page, (len(ids), len(page)))], axis=1)
                order = np.lexsort((named, -both), axis=1)[:, :k]
                similarities = np.take_along_axis(both, order, axis=1)
                ids = np.take_along_axis(named, order, axis=1)
        return Candidates(ids, similarities)

    def ids(self) -> Ids:
        with self._catalog.snapshot() as snapshot:
            return snapshot.contents().ids

    def vectors(self, ids: Ids) -> Vectors:
        """The projected vectors of these images: (N,) → (N, d). Raises KeyError for others."""
        found = self._catalog.embeddings(ids.tolist())
        if not len(ids):
            return np.empty((0, self._catalog.config.spec.dim), np.float32)
        return self.project(np.stack([found[image_id] for image_id in ids.tolist()]))

    def count(self) -> int:
        return self._catalog.count()

    def close(self) -> None:
        """There is nothing to let go of."""

    @property
    def projection(self) -> Projection | None:
        """How embeddings are compared; None where they stay as they are."""
        with self._catalog.snapshot() as snapshot:
            return snapshot.projection[1]
