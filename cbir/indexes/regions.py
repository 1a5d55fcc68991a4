"""Images by the nearest of what they are and what they contain.

Two indexes side by side: of whole images, the same as in any gallery, and of regions. An image is
as similar as the most similar of both. With the k nearest wholes and the k images of the nearest
regions, the k nearest of all are known: whoever is among them is among them as whole or as region.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.vectors import REGION_ROWS, region_rows
from cbir.config import IndexKind
from cbir.indexes.local import LocalIndex
from cbir.indexes.protocol import BuiltKind
from cbir.types import Candidates

REGIONS_PER_HIT = 3
"""So many times as many regions as images are asked for at first: some are of one image."""

GROWTH = 4

PAIRS_AT_ONCE = 4_000_000
"""Of queries and regions; bounds the memory of whole rankings to some 200 MB."""


class RegionIndex:
    """`VectorIndex` of images with regions, over one of whole images that others may use, too."""

    def __init__(
        self, whole: LocalIndex, folder: Path, dim: int, kind: IndexKind, *, regions: int
    ) -> None:
        """`folder` is for the index of the regions, of which each image has so many."""
        self._whole = whole
        self._parts = LocalIndex(folder, dim, kind, regions=regions)
        self._each = regions

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Apply what the catalogue has committed since to both indexes."""
        self._whole.catch_up(catalog, rebuild=rebuild)
        self._parts.catch_up(catalog, rebuild=rebuild)

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (N, D) → as both indexes compare them (N, d)."""
        return self._whole.project(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Ids | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest images of each, and what of them is so near."""
        rows = None if allowed is None else region_rows(allowed, self._each)
        total = self._parts.count() if rows is None else min(len(rows), self._parts.count())
        wholes = self._whole.search(queries, k, allowed=allowed, exact=exact, projected=projected)
        ids, similarities = wholes.ids.copy(), wholes.similarities.copy()
        regions = np.zeros_like(ids)
        size = max(1, PAIRS_AT_ONCE // max(1, min(total, self._each * k)))
        for start in range(0, len(queries) if total else 0, size):
            own, ask = slice(start, start + size), min(total, REGIONS_PER_HIT * k)
            while True:
                found = self._parts.search(
                    queries[own], ask, allowed=rows, exact=exact, projected=projected
                )
                best, scores, numbers = _merged(wholes.ids[own], wholes.similarities[own], found)
                # A region farther than the last of k images changes nothing any more.
                if ask >= total or (found.similarities[:, -1] <= scores[:, -1]).all():
                    break
                ask = min(total, GROWTH * ask)
            ids[own], similarities[own] = best, scores
            regions[own] = numbers
        return Candidates(ids, similarities, regions)

    def ids(self) -> Ids:
        """The ids of all images, ascending."""
        return self._whole.ids()

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        """The projected vectors of images or, where `regions` (N,) is not 0, of that region.

        (N,) → (N, d). Raises KeyError when one is not there.
        """
        if regions is None or not regions.any():
            return self._whole.vectors(ids)
        part, rows = regions > 0, ids * REGION_ROWS + regions
        wholes, parts = self._whole.vectors(ids[~part]), self._parts.vectors(rows[part])
        vectors = np.empty((len(ids), parts.shape[1]), np.float32)
        vectors[~part], vectors[part] = wholes, parts
        return vectors

    def count(self) -> int:
        """How many images there are."""
        return self._whole.count()

    @property
    def kind(self) -> BuiltKind:
        """What the indexes really are; that of the regions where they differ."""
        return self._parts.kind if self._whole.kind == "flat" else self._whole.kind

    @property
    def parts(self) -> LocalIndex:
        """The index of the regions alone, under the ids of `region_rows`."""
        return self._parts

    def close(self) -> None:
        """Let go of memory and files, those of whole images included."""
        self._whole.close()
        self._parts.close()


def _merged(ids: Ids, similarities: Vectors, found: Candidates) -> tuple[Ids, Vectors, Ids]:
    """Whole images (Q, k) and regions (Q, m) → the k best images, each once.

    Ids, similarities and numbers of regions, 0 for whole images: (Q, k) each.
    """
    there = found.ids >= 0
    owners = np.where(there, found.ids // REGION_ROWS, -1)
    numbers = np.where(there, found.ids % REGION_ROWS, 0)
    every = np.concatenate([ids, owners], axis=1)
    scores = np.concatenate([similarities, found.similarities], axis=1)
    regions = np.concatenate([np.zeros_like(ids), numbers], axis=1)
    best, of = np.full_like(ids, -1), np.zeros_like(ids)
    nearest = np.full_like(similarities, -np.inf)
    # Of equal ones the lower id comes first, and the whole before its parts.
    orders = np.lexsort((regions, every, -scores), axis=1)
    for query, order in enumerate(orders):
        _, first = np.unique(every[query, order], return_index=True)
        places = order[np.sort(first)]
        places = places[every[query, places] >= 0][: ids.shape[1]]
        best[query, : len(places)] = every[query, places]
        nearest[query, : len(places)] = scores[query, places]
        of[query, : len(places)] = regions[query, places]
    return best, nearest, of
