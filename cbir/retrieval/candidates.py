"""Candidates of a search: the gallery's images in order of similarity, to any depth."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from cbir.arrays import Ids, Vectors
    from cbir.filters import Filter
    from cbir.gallery import Gallery
    from cbir.types import Candidates

FIRST_STEP = 64
"""Number of candidates first requested from an approximate index, the same for every search."""

LARGE_STEP = 100_000
"""Number of candidates above which the gallery's size is looked up first."""

GROWTH = 4
"""Factor by which each further request is larger."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive candidates, the best first."""

    ids: Ids
    """(N,)"""
    similarities: Vectors
    """(N,)"""
    regions: Ids
    """(N,): number of the matching region, from 1; 0 for the whole image."""

    def take(self, places: npt.NDArray[np.generic] | list[int] | slice) -> Block:
        """The candidates at some positions, or where a mask is true."""
        return Block(self.ids[places], self.similarities[places], self.regions[places])


def ranked(
    gallery: Gallery,
    vectors: Vectors,
    *,
    first: int,
    without: Set[int] = frozenset(),
    where: Filter | None = None,
    exact: bool = False,
) -> Iterator[Block]:
    """All images in order of similarity, each once, block by block.

    With several query vectors (V, D), the similarity of an image is that to the nearest one.
    `first` is the number likely to be needed. The order does not depend on it while the gallery
    is unchanged:

    - an exact search is cut above its lowest similarity, since further images may have the same
      one; equal ones are ordered by id;
    - an approximate index misses other images at other depths. It is always searched for 64, 256,
      1024 and so on, and each block has the images that earlier blocks lack. Images that it never
      returns come last, from an exact search.
    """
    exact = exact or where is not None  # a filtered search is always exact
    complete = exact or gallery.index().exact
    shown = np.array(sorted(without), dtype=np.int64)
    size = first + len(shown) + 1 if complete else FIRST_STEP
    while True:
        if size > LARGE_STEP:  # room for more than all images would only cost memory
            size = min(size, max(LARGE_STEP, gallery.count() + 1))
        candidates = gallery.search(vectors, size, where=where, exact=exact)
        block, bound = _nearest(candidates)
        if complete:
            block = block.take(block.similarities > bound)
        block = block.take(np.isin(block.ids, shown, invert=True))
        yield block
        shown = np.concatenate([shown, block.ids])
        if np.isneginf(bound):
            if complete:
                return
            exact = complete = True
        size *= GROWTH


def _nearest(candidates: Candidates) -> tuple[Block, float]:
    """(V, k) → each image once with its best similarity, best first, and the lowest complete one.

    Above that bound no image is missing; it is -inf when there are no more images.
    """
    present = candidates.ids >= 0
    regions = np.zeros_like(candidates.ids) if candidates.regions is None else candidates.regions
    block = Block(candidates.ids[present], candidates.similarities[present], regions[present])
    block = block.take(np.lexsort((block.regions, block.ids, -block.similarities)))
    if len(candidates.ids) > 1:
        _, places = np.unique(block.ids, return_index=True)
        block = block.take(np.sort(places))
    ends = np.where(present.all(axis=1), candidates.similarities[:, -1], -np.inf)
    return block, float(ends.max())
