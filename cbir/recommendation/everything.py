"""Recommendations for every image of a gallery, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.gallery import Gallery
from cbir.indexes.neighbours import (
    MANY,
    RESCORED,
    Leading,
    Rows,
    block_rows,
    in_order,
    leading_directions,
    top,
)
from cbir.recommendation.choice import first_of_each, mmr
from cbir.recommendation.items import Codes, Items, load_items, load_vectors
from cbir.recommendation.rules import Rules

__all__ = ["BLOCK", "Block", "Recommender", "recommend_all"]

BLOCK = 2048
"""Items that are worked on, handed out and written together."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The recommendations for B items of a gallery."""

    items: Ids
    """(B,)"""
    ids: Ids
    """(B, k), the best first; -1 where there are fewer."""
    similarities: Vectors
    """(B, k)"""
    scores: Vectors
    """(B, k)"""


def recommend_all(gallery: Gallery, rules: Rules | None = None) -> Iterator[Block]:
    """What is recommended for every image of a gallery, in the order of ids.

    As `recommend` does for one; the gallery is read once, as it is at the first block. Raises
    FilterError when the rules name a field that means nothing in this gallery.
    """
    recommender = Recommender.load(gallery, rules or Rules())
    yield from recommender.blocks()


class Recommender:
    """Works out the recommendations for blocks of items. Use `Recommender.load`."""

    def __init__(self, items: Items, vectors: Vectors, rules: Rules, *, exact: bool) -> None:
        self.items = items
        self._vectors = vectors
        self._rules = rules
        self._by_id = np.argsort(items.ids)
        self.leading: Leading | None = None
        """What a first pass compares; None where all dimensions are compared at once."""
        widths = items.sections[:, 1] - items.sections[:, 0]
        if not exact and len(widths) and widths.max() > MANY:
            self.leading = leading_directions(vectors, rules.depth + 1, self._candidates)

    @classmethod
    def load(cls, gallery: Gallery, rules: Rules, *, exact: bool = False) -> Recommender:
        """Read a gallery into memory: 4 bytes per image and dimension, and a third on top.

        Among many images a first pass in few dimensions finds the candidates; how many dimensions
        is measured so that 0.99 of the nearest are among them. `exact` compares all of them.
        """
        with gallery.catalog.snapshot() as snapshot:
            items = load_items(snapshot, rules)
            return cls(items, load_vectors(snapshot, items), rules, exact=exact)

    def blocks(self, numbers: Iterable[int] | None = None) -> Iterator[Block]:
        """Blocks of items in the order of ids; only those of these numbers, if given."""
        asked = range(block_count(len(self.items))) if numbers is None else numbers
        return in_order(self.block, asked)

    def block(self, number: int) -> Block:
        """The recommendations for one block of items."""
        rows = self._by_id[number * BLOCK : (number + 1) * BLOCK]
        k = min(self._rules.k, len(self.items))
        ids = np.full((len(rows), k), -1, dtype=np.int64)
        similarities = np.full((len(rows), k), -np.inf, dtype=np.float32)
        scores = similarities.copy()
        begins, ends = self.items.sections[rows].T
        for begin in np.unique(begins[ends > begins]):
            own = np.flatnonzero((begins == begin) & (ends > begins))
            section = slice(int(begin), int(ends[own[0]]))
            size = block_rows(section.stop - section.start)
            for part in (own[i : i + size] for i in range(0, len(own), size)):
                found, alike, score = self._recommend(rows[part], section)
                width = found.shape[1]
                there = found >= 0
                ids[part, :width] = np.where(there, self.items.ids[found], -1)
                similarities[part, :width] = alike
                scores[part, :width] = score
        return Block(self.items.ids[rows], ids, similarities, scores)

    @property
    def _candidates(self) -> int:
        return max(128, 6 * self._rules.depth)

    def _recommend(self, rows: Rows, section: slice) -> tuple[Rows, Vectors, Vectors]:
        """Recommended rows (B, k), -1 for none, their similarities and scores."""
        pool, similarities = self._pool(rows, section)
        there = pool >= 0
        scores = np.where(there, similarities + self.items.bonus[pool], -np.inf)
        if not self._rules.chooses:
            k = min(self._rules.k, pool.shape[1])
            return pool[:, :k], similarities[:, :k], scores[:, :k]
        chosen = self._choose(pool, scores)
        return (
            np.take_along_axis(pool, chosen, axis=1),
            np.take_along_axis(similarities, chosen, axis=1),
            np.take_along_axis(scores, chosen, axis=1),
        )

    def _choose(self, pool: Rows, scores: Vectors) -> npt.NDArray[np.intp]:
        rules = self._rules
        parts = []
        for start in range(0, len(pool), RESCORED):
            own, size = slice(start, start + RESCORED), pool.shape[1]
            alike = np.zeros((len(pool[own]), size, size), dtype=np.float32)
            if rules.diversity > 0:
                vectors = self._vectors[pool[own]]
                np.matmul(vectors, vectors.transpose(0, 2, 1), out=alike)
            parts.append(mmr(scores[own], alike, rules.k, rules.diversity))
        return np.concatenate(parts)

    def _pool(self, rows: Rows, section: slice) -> tuple[Rows, Vectors]:
        """The most similar rows that satisfy the rules (B, P), -1 for none, with similarities.

        Those of the nearest that satisfy them, at first; items for which that is too few see
        the whole section, what is not for them taken out beforehand.
        """
        size = section.stop - section.start
        depth = min(self._rules.depth, size)
        pool = np.full((len(rows), depth), -1, dtype=np.int64)
        similarities = np.full((len(rows), depth), -np.inf, dtype=np.float32)
        left, ask, whole = np.arange(len(rows)), min(size, self._candidates), False
        while len(left):
            found, alike, ended = self._nearest(rows[left], section, ask, whole=whole)
            kept = self._satisfying(rows[left], found, alike)
            first = np.argsort(~kept, axis=1, kind="stable")[:, :depth]
            good = np.take_along_axis(kept, first, axis=1)
            pool[left, : good.shape[1]] = np.where(
                good, np.take_along_axis(found, first, axis=1), -1
            )
            similarities[left, : good.shape[1]] = np.where(
                good, np.take_along_axis(alike, first, axis=1), -np.inf
            )
            left = left[~(ended | (good.sum(axis=1) >= depth) | (whole and ask >= size))]
            ask, whole = min(size, 4 * ask if whole else self._candidates), True
        return pool, similarities

    def _nearest(
        self, rows: Rows, section: slice, ask: int, *, whole: bool
    ) -> tuple[Rows, Vectors, Flags]:
        """The nearest rows of a section, the best first, and whether no others can satisfy.

        With `whole` all are compared, and none that is not for its item is found (similarity
        -inf then).
        """
        floor = self._rules.min_similarity
        floor = -np.inf if floor is None else floor
        leading = self.leading
        size = section.stop - section.start
        if whole or leading is None or size <= MANY:
            scores = self._vectors[rows] @ self._vectors[section].T
            if whole:
                everyone = np.arange(section.start, section.stop)[None]
                scores[~self._for_them(rows, everyone, scores)] = -np.inf
                if self._rules.group_by is not None:
                    _keep_best(scores, self.items.products[section])
            found, alike = top(scores, ask)
            found += section.start
            farthest = alike.min(axis=1)
            ended = (farthest < floor) | np.isneginf(farthest) | (ask >= size)
        else:
            found, first = top(leading.vectors[rows] @ leading.vectors[section].T, ask)
            found += section.start
            ended = first.min(axis=1) < floor
            alike = np.empty(found.shape, dtype=np.float32)
            for i, row in enumerate(rows):
                alike[i] = self._vectors[found[i]] @ self._vectors[row]
        order = np.lexsort((self.items.ids[found], -alike), axis=1)
        return (
            np.take_along_axis(found, order, axis=1),
            np.take_along_axis(alike, order, axis=1),
            ended,
        )

    def _satisfying(self, rows: Rows, found: Rows, alike: Vectors) -> Flags:
        """Which of the rows found (B, M), the best first, are recommended: the first of each
        product among those that are for the item."""
        kept = self._for_them(rows, found, alike)
        if self._rules.group_by is not None:
            products = self.items.products[found]
            # What is not for the item must not stand for its product.
            codes = np.where(kept, products, -1 - np.arange(found.shape[1], dtype=np.int32))
            kept &= first_of_each(codes)
        return kept

    def _for_them(self, rows: Rows, others: Rows, alike: Vectors) -> Flags:
        """Which others, (B, M) or (1, M) the same for all, satisfy the constraints of their item
        (B,), section and filter aside."""
        items, rules = self.items, self._rules
        good = (others != rows[:, None]) & (alike > -np.inf)
        if rules.group_by is not None:
            good &= items.products[others] != items.products[rows][:, None]
        if not rules.keep_duplicates:
            good &= alike <= rules.duplicate_similarity
            good &= items.contents[others] != items.contents[rows][:, None]
        for codes in items.different:
            good &= codes[others] != codes[rows][:, None]
        if rules.min_similarity is not None:
            good &= alike >= rules.min_similarity
        return np.asarray(good)


def block_count(items: int) -> int:
    """How many blocks so many items are."""
    return -(-items // BLOCK)


def _keep_best(scores: Vectors, products: Codes) -> None:
    """Leave each product (N,) its largest score in each row of (B, N), in place."""
    order = np.argsort(products, kind="stable")
    starts = np.flatnonzero(np.diff(products[order], prepend=-1))
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)
    _, number = np.unique(products, return_inverse=True)
    scores[scores < best[:, number]] = -np.inf
