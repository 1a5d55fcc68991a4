"""An index that never makes a search wait, for servers that update it in a background thread."""

from __future__ import annotations

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.embedding.whitening import Projection
from cbir.indexes.catalog_scan import CatalogScan
from cbir.indexes.protocol import Allowed, VectorIndex
from cbir.types import Candidates

__all__ = ["IndexOrScan"]


class IndexOrScan:
    """`VectorIndex` that is searched as of its last update, and before the first by a scan.

    The owner must call `catch_up` from time to time, in another thread.
    """

    def __init__(self, index: VectorIndex, catalog: Catalog) -> None:
        self.index = index
        self._searched: VectorIndex = CatalogScan(catalog)

    @property
    def kind(self) -> str:
        return self._searched.kind

    @property
    def exact(self) -> bool:
        return self._searched.exact

    @property
    def generation(self) -> int:
        return self._searched.generation

    @property
    def projection(self) -> Projection | None:
        return self._searched.projection

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        self.index.catch_up(catalog, rebuild=rebuild)
        self._searched = self.index

    def is_current(self, catalog: Catalog) -> bool:
        return self._searched is self.index and self.index.is_current(catalog)

    def project(self, embeddings: Vectors) -> Vectors:
        return self._searched.project(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Allowed | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        return self._searched.search(queries, k, allowed=allowed, exact=exact, projected=projected)

    def ids(self) -> Ids:
        return self._searched.ids()

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        return self._searched.vectors(ids, regions)

    def count(self) -> int:
        return self._searched.count()

    def close(self) -> None:
        self.index.close()
