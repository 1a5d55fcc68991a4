"""The images of a gallery by similarity, as deep as somebody asks, in an order that stays."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cbir.filters import Filter
    from cbir.gallery import Gallery
    from cbir.storage.vectors import Ids, Vectors
    from cbir.types import Candidates

FIRST_STEP = 64
"""How many images an approximate index is asked for at first, whoever asks."""

GROWTH = 4


def ranked(
    gallery: Gallery,
    vectors: Vectors,
    *,
    first: int,
    without: Set[int] = frozenset(),
    where: Filter | None = None,
    exact: bool = False,
) -> Iterator[tuple[Ids, Vectors]]:
    """Blocks of ids (N,) and similarities (N,), the best first, each image once, until the last.

    Of several vectors (V, D), an image is as similar as to the nearest. `first` is how many are
    likely to be needed. Whatever it is, the order is the same while the gallery stays as it is:

    - an exact search is cut where the last similarity ends, since images as similar may be
      missing; equal ones come by ascending id;
    - an approximate index overlooks other images at other depths. So it is asked for 64, 256,
      1024 and so on, and each answer goes on with what the ones before have not shown. What it
      does not reach at all comes from an exact search in the end.
    """
    exact = exact or where is not None  # among the images of a filter every search is exact
    steady = exact or gallery.vectors().kind == "flat"
    shown = np.array(sorted(without), dtype=np.int64)
    size = first + len(shown) + 1 if steady else FIRST_STEP
    while True:
        found = gallery.search(vectors, size, where=where, exact=exact)
        ids, similarities, bound = _nearest(found)
        if steady:
            ids, similarities = ids[similarities > bound], similarities[similarities > bound]
        new = np.isin(ids, shown, invert=True)
        yield ids[new], similarities[new]
        shown = np.concatenate([shown, ids[new]])
        if np.isneginf(bound):
            if steady:
                return
            exact = steady = True
        size *= GROWTH


def _nearest(found: Candidates) -> tuple[Ids, Vectors, float]:
    """(V, k) → each image once with its best similarity, best first, and what none is missing of.

    Above the bound every image is there; it is -inf when there are no others at all.
    """
    there = found.ids >= 0
    ids, similarities = found.ids[there], found.similarities[there]
    order = np.lexsort((ids, -similarities))
    ids, similarities = ids[order], similarities[order]
    if len(found.ids) > 1:
        _, places = np.unique(ids, return_index=True)
        places.sort()
        ids, similarities = ids[places], similarities[places]
    ends = np.where(there.all(axis=1), found.similarities[:, -1], -np.inf)
    return ids, similarities, float(ends.max())
