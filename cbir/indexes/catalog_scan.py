"""A `VectorIndex` without files: every search reads all embeddings from the catalogue."""

from __future__ import annotations

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.embedding.whitening import Projection
from cbir.indexes.protocol import Allowed
from cbir.types import Candidates

__all__ = ["CatalogScan"]


class CatalogScan:
    """`VectorIndex` of whole images that scans the catalogue: slow, exact, available at once.

    Used while an index is being built. Each search sees all earlier commits.
    """

    kind = "scan"
    exact = True

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def generation(self) -> int:
        return self._catalog.generation()

    @property
    def projection(self) -> Projection | None:
        with self._catalog.snapshot() as snapshot:
            return snapshot.projection[1]

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Does nothing: every search reads the catalogue."""

    def is_current(self, catalog: Catalog) -> bool:
        return True

    def project(self, embeddings: Vectors) -> Vectors:
        projection = self.projection
        return embeddings if projection is None else projection.apply(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Allowed | None = None,
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
            if allowed is not None and not isinstance(allowed, np.ndarray):
                allowed = snapshot.matching(allowed)
            for page, vectors in snapshot.changed_since(0):
                if allowed is not None:
                    admitted = np.isin(page, allowed)
                    page, vectors = page[admitted], vectors[admitted]
                if not len(page):
                    continue
                compared = vectors if projection is None else projection.apply(vectors)
                both = np.concatenate([similarities, queries @ compared.T], axis=1)
                of_page = np.broadcast_to(page, (len(ids), len(page)))
                both_ids = np.concatenate([ids, of_page], axis=1)
                order = np.lexsort((both_ids, -both), axis=1)[:, :k]
                similarities = np.take_along_axis(both, order, axis=1)
                ids = np.take_along_axis(both_ids, order, axis=1)
        return Candidates(ids, similarities)

    def ids(self) -> Ids:
        with self._catalog.snapshot() as snapshot:
            return snapshot.contents().ids

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        """The projected vectors of these images: (N,) → (N, d).

        Raises KeyError for an unknown image, and for regions.
        """
        if regions is not None and regions.any():
            raise KeyError("a scan of the catalogue compares whole images only")
        stored = self._catalog.embeddings(ids.tolist())
        if not len(ids):
            return np.empty((0, self._catalog.config.spec.dim), np.float32)
        return self.project(np.stack([stored[image_id] for image_id in ids.tolist()]))

    def count(self) -> int:
        return self._catalog.count()

    def close(self) -> None:
        """Does nothing: no resources are held."""
