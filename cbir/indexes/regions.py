"""Search of images by the whole image or one of its regions, whichever is nearer.

Combines two indexes: of whole images, as in any gallery, and of regions. The similarity of an image
is the greatest of the whole and its regions. The k nearest images of all are among the k nearest
whole images and the k images of the nearest regions.
"""

from __future__ import annotations

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.vectors import REGION_ROWS, region_rows
from cbir.embedding.whitening import Projection
from cbir.indexes.protocol import Allowed, VectorIndex, allowed_ids
from cbir.types import Candidates

__all__ = ["RegionIndex"]

GROWTH = 4
"""Factor by which the number of regions is increased when too many belong to the same images."""


class RegionIndex:
    """`VectorIndex` of images with regions, composed of an index of each."""

    def __init__(
        self,
        images: VectorIndex,
        regions: VectorIndex,
        per_image: int,
        *,
        regions_per_hit: int = 3,
        pairs_at_once: int = 4_000_000,
    ) -> None:
        """`regions` contains `per_image` regions of each image, with the ids of `region_rows`.

        The first search is for `regions_per_hit` regions per image wanted, as several may be of one
        image. `pairs_at_once` (queries × regions) bounds the memory of long rankings, by default to
        some 200 MB.
        """
        self._images = images
        self._regions = regions
        self._per_image = per_image
        self._regions_per_hit = regions_per_hit
        self._pairs_at_once = pairs_at_once
        self._catalog: Catalog | None = None

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        self._catalog = catalog
        self._images.catch_up(catalog, rebuild=rebuild)
        self._regions.catch_up(catalog, rebuild=rebuild)

    def is_current(self, catalog: Catalog) -> bool:
        return self._images.is_current(catalog) and self._regions.is_current(catalog)

    def project(self, embeddings: Vectors) -> Vectors:
        return self._images.project(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Allowed | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest images of each, with the nearest region."""
        allowed = allowed_ids(allowed, self._catalog)
        rows = None if allowed is None else region_rows(allowed, self._per_image)
        total = self._regions.count() if rows is None else min(len(rows), self._regions.count())
        whole = self._images.search(queries, k, allowed=allowed, exact=exact, projected=projected)
        ids, similarities = whole.ids.copy(), whole.similarities.copy()
        regions = np.zeros_like(ids)
        size = max(1, self._pairs_at_once // max(1, min(total, self._per_image * k)))
        for start in range(0, len(queries) if total else 0, size):
            part, wanted = slice(start, start + size), min(total, self._regions_per_hit * k)
            while True:
                nearest = self._regions.search(
                    queries[part], wanted, allowed=rows, exact=exact, projected=projected
                )
                merged = _merged(whole.ids[part], whole.similarities[part], nearest)
                # Regions farther than the last of the k images cannot change the result.
                if wanted >= total or (nearest.similarities[:, -1] <= merged[1][:, -1]).all():
                    break
                wanted = min(total, GROWTH * wanted)
            ids[part], similarities[part], regions[part] = merged
        return Candidates(ids, similarities, regions)

    def ids(self) -> Ids:
        return self._images.ids()

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        if regions is None or not regions.any():
            return self._images.vectors(ids)
        part, rows = regions > 0, ids * REGION_ROWS + regions
        of_images, of_regions = self._images.vectors(ids[~part]), self._regions.vectors(rows[part])
        vectors = np.empty((len(ids), of_regions.shape[1]), np.float32)
        vectors[~part], vectors[part] = of_images, of_regions
        return vectors

    def count(self) -> int:
        return self._images.count()

    @property
    def kind(self) -> str:
        """Kind of the index of whole images; that of the regions if only it is approximate."""
        return self._regions.kind if self._images.exact else self._images.kind

    @property
    def exact(self) -> bool:
        return self._images.exact and self._regions.exact

    @property
    def generation(self) -> int:
        return min(self._images.generation, self._regions.generation)

    @property
    def projection(self) -> Projection | None:
        return self._images.projection

    @property
    def regions(self) -> VectorIndex:
        """The index of the regions alone, with the ids of `region_rows`."""
        return self._regions

    def close(self) -> None:
        self._images.close()
        self._regions.close()


def _merged(ids: Ids, similarities: Vectors, regions: Candidates) -> tuple[Ids, Vectors, Ids]:
    """Whole images (Q, k) and regions (Q, m) → the k best images, each once.

    Ids, similarities and numbers of regions, 0 for whole images: (Q, k) each.
    """
    present = regions.ids >= 0
    owners = np.where(present, regions.ids // REGION_ROWS, -1)
    numbers = np.where(present, regions.ids % REGION_ROWS, 0)
    every = np.concatenate([ids, owners], axis=1)
    scores = np.concatenate([similarities, regions.similarities], axis=1)
    numbers = np.concatenate([np.zeros_like(ids), numbers], axis=1)
    best, of = np.full_like(ids, -1), np.zeros_like(ids)
    nearest = np.full_like(similarities, -np.inf)
    # Ties: the lower id comes first, and the whole image before its regions.
    orders = np.lexsort((numbers, every, -scores), axis=1)
    for query, order in enumerate(orders):
        _, first = np.unique(every[query, order], return_index=True)
        places = order[np.sort(first)]
        places = places[every[query, places] >= 0][: ids.shape[1]]
        best[query, : len(places)] = every[query, places]
        nearest[query, : len(places)] = scores[query, places]
        of[query, : len(places)] = numbers[query, places]
    return best, nearest, of
