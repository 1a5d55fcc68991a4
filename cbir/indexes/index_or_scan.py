"""An index that never keeps a search waiting, for servers that bring it up to date beside it."""

from __future__ import annotations

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.embedding.whitening import Projection
from cbir.indexes.catalog_scan import CatalogScan
from cbir.indexes.protocol import Allowed, VectorIndex
from cbir.types import Candidates

__all__ = ["IndexOrScan"]


class IndexOrScan:
    """`VectorIndex` that answers at once: by an index as it last was brought up to date, and until
    it has been once, by a scan of the catalogue.

    Somebody has to call `catch_up` now and then, in a thread of its own.
    """

    def __init__(self, index: VectorIndex, catalog: Catalog) -> None:
        self.index = index
        self._answering: VectorIndex = CatalogScan(catalog)

    @property
    def kind(self) -> str:
        return self._answering.kind

    @property
    def exact(self) -> bool:
        return self._answering.exact

    @property
    def generation(self) -> int:
        return self._answering.generation

    @property
    def projection(self) -> Projection | None:
        return self._answering.projection

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        self.index.catch_up(catalog, rebuild=rebuild)
        self._answering = self.index

    def is_current(self, catalog: Catalog) -> bool:
        return self._answering is self.index and self.index.is_current(catalog)

    def project(self, embeddings: Vectors) -> Vectors:
        return self._answering.project(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Allowed | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        return self._answering.search(queries, k, allowed=allowed, exact=exact, projected=projected)

    def ids(self) -> Ids:
        return self._answering.ids()

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        return self._answering.vectors(ids, regions)

    def count(self) -> int:
        return self._answering.count()

    def close(self) -> None:
        self.index.close()
