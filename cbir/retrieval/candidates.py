"""The images of a gallery by similarity, as deep as somebody asks, in an order that stays."""

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
"""How many images an approximate index is asked for at first, whoever asks."""

GROWTH = 4


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Images one after the other, the best first."""

    ids: Ids
    """(N,)"""
    similarities: Vectors
    """(N,)"""
    regions: Ids
    """(N,): which region is so similar, from 1; 0 where it is the whole image."""

    def take(self, places: npt.NDArray[np.generic] | list[int] | slice) -> Block:
        """The images at some places, or where a mask is true."""
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
    """All images by similarity, the best first, each once, block by block until the last.

    Of several vectors (V, D), an image is as similar as to the nearest. `first` is how many are
    likely to be needed. Whatever it is, the order is the same while the gallery stays as it is:

    - an exact search is cut where the last similarity ends, since images as similar may be
      missing; equal ones come by ascending id;
    - an approximate index overlooks other images at other depths. So it is asked for 64, 256,
      1024 and so on, and each answer goes on with what the ones before have not shown. What it
      does not reach at all comes from an exact search in the end.
    """
    exact = exact or where is not None  # among the images of a filter every search is exact
    steady = exact or gallery.index().exact
    shown = np.array(sorted(without), dtype=np.int64)
    size = first + len(shown) + 1 if steady else FIRST_STEP
    while True:
        found = gallery.search(vectors, size, where=where, exact=exact)
        block, bound = _nearest(found)
        if steady:
            block = block.take(block.similarities > bound)
        block = block.take(np.isin(block.ids, shown, invert=True))
        yield block
        shown = np.concatenate([shown, block.ids])
        if np.isneginf(bound):
            if steady:
                return
            exact = steady = True
        size *= GROWTH


def _nearest(found: Candidates) -> tuple[Block, float]:
    """(V, k) → each image once with its best similarity, best first, and what none is missing of.

    Above the bound every image is there; it is -inf when there are no others at all.
    """
    there = found.ids >= 0
    regions = np.zeros_like(found.ids) if found.regions is None else found.regions
    block = Block(found.ids[there], found.similarities[there], regions[there])
    block = block.take(np.lexsort((block.regions, block.ids, -block.similarities)))
    if len(found.ids) > 1:
        _, places = np.unique(block.ids, return_index=True)
        block = block.take(np.sort(places))
    ends = np.where(there.all(axis=1), found.similarities[:, -1], -np.inf)
    return block, float(ends.max())
