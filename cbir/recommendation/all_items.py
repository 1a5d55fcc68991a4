"""Recommendations for every image of a gallery, computed in blocks."""

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
    RowNumbers,
    block_rows,
    in_order,
    leading_directions,
    top,
)
from cbir.recommendation.item_table import Codes, ItemTable, load_item_table, load_vectors
from cbir.recommendation.rules import Rules
from cbir.recommendation.selection import is_first_of_value, maximal_marginal_relevance

__all__ = ["BLOCK_SIZE", "BatchRecommender", "RecommendationBlock", "recommend_all"]

BLOCK_SIZE = 2048
"""Items that are computed, returned and written together."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RecommendationBlock:
    """The recommendations for B items of a gallery."""

    items: Ids
    """(B,)"""
    ids: Ids
    """(B, k), the best first; -1 where an item has fewer than k."""
    similarities: Vectors
    """(B, k)"""
    scores: Vectors
    """(B, k)"""


def recommend_all(gallery: Gallery, rules: Rules | None = None) -> Iterator[RecommendationBlock]:
    """Recommendations for every image of a gallery, in the order of ids.

    They equal those of `recommend` for each image. The gallery is read once, for the first block.
    Raises FilterError when the rules name a field that no image has, or one of lists.
    """
    yield from BatchRecommender.load(gallery, rules or Rules()).blocks()


class BatchRecommender:
    """Computes recommendations for blocks of items. Use `BatchRecommender.load`."""

    def __init__(
        self,
        items: ItemTable,
        vectors: Vectors,
        rules: Rules,
        *,
        exact: bool,
        block_size: int = BLOCK_SIZE,
        exact_up_to: int = MANY,
    ) -> None:
        self.items = items
        self._vectors = vectors
        self._rules = rules
        self._block_size = block_size
        self._exact_up_to = exact_up_to
        self._by_id = np.argsort(items.ids)
        self.leading: Leading | None = None
        """The first pass in few dimensions; None where all dimensions are compared at once."""
        widths = items.sections[:, 1] - items.sections[:, 0]
        if not exact and len(widths) and widths.max() > exact_up_to:
            self.leading = leading_directions(vectors, rules.depth + 1, self._candidates)

    @classmethod
    def load(
        cls,
        gallery: Gallery,
        rules: Rules,
        *,
        exact: bool = False,
        block_size: int = BLOCK_SIZE,
        exact_up_to: int = MANY,
    ) -> BatchRecommender:
        """Read a gallery into memory: 4 bytes per image and dimension, plus a third.

        Where an item has more than `exact_up_to` candidates, a first pass in fewer dimensions
        chooses among them; its number of dimensions is measured, so that it finds 0.99 of the
        nearest. `exact` compares all dimensions of all candidates instead.
        """
        with gallery.catalog.snapshot() as snapshot:
            items = load_item_table(snapshot, rules)
            vectors = load_vectors(snapshot, items)
        return cls(
            items, vectors, rules, exact=exact, block_size=block_size, exact_up_to=exact_up_to
        )

    def blocks(self, numbers: Iterable[int] | None = None) -> Iterator[RecommendationBlock]:
        """Blocks of items in the order of ids: those of these numbers, or all."""
        if numbers is None:
            numbers = range(block_count(len(self.items), self._block_size))
        return in_order(self.block, numbers)

    def block(self, number: int) -> RecommendationBlock:
        """The recommendations for one block of items."""
        rows = self._by_id[number * self._block_size : (number + 1) * self._block_size]
        k = min(self._rules.k, len(self.items))
        ids = np.full((len(rows), k), -1, dtype=np.int64)
        similarities = np.full((len(rows), k), -np.inf, dtype=np.float32)
        scores = similarities.copy()
        begins, ends = self.items.sections[rows].T
        for begin in np.unique(begins[ends > begins]):
            members = np.flatnonzero((begins == begin) & (ends > begins))
            section = slice(int(begin), int(ends[members[0]]))
            size = block_rows(section.stop - section.start)
            for part in (members[i : i + size] for i in range(0, len(members), size)):
                chosen, similarity, score = self._recommend(rows[part], section)
                width = chosen.shape[1]
                ids[part, :width] = np.where(chosen >= 0, self.items.ids[chosen], -1)
                similarities[part, :width] = similarity
                scores[part, :width] = score
        return RecommendationBlock(self.items.ids[rows], ids, similarities, scores)

    @property
    def _candidates(self) -> int:
        return max(128, 6 * self._rules.depth)

    def _recommend(self, rows: RowNumbers, section: slice) -> tuple[RowNumbers, Vectors, Vectors]:
        """Recommended rows (B, k), -1 for none, their similarities and scores."""
        pool, similarities = self._pool(rows, section)
        scores = np.where(pool >= 0, similarities + self.items.bonus[pool], -np.inf)
        if not self._rules.reorders:
            k = min(self._rules.k, pool.shape[1])
            return pool[:, :k], similarities[:, :k], scores[:, :k]
        chosen = self._choose(pool, scores)
        return (
            np.take_along_axis(pool, chosen, axis=1),
            np.take_along_axis(similarities, chosen, axis=1),
            np.take_along_axis(scores, chosen, axis=1),
        )

    def _choose(self, pool: RowNumbers, scores: Vectors) -> npt.NDArray[np.intp]:
        rules = self._rules
        parts = []
        for start in range(0, len(pool), RESCORED):
            part, size = slice(start, start + RESCORED), pool.shape[1]
            within = np.zeros((len(pool[part]), size, size), dtype=np.float32)
            if rules.diversity > 0:
                vectors = self._vectors[pool[part]]
                np.matmul(vectors, vectors.transpose(0, 2, 1), out=within)
            parts.append(maximal_marginal_relevance(scores[part], within, rules.k, rules.diversity))
        return np.concatenate(parts)

    def _pool(self, rows: RowNumbers, section: slice) -> tuple[RowNumbers, Vectors]:
        """The most similar rows that satisfy the rules (B, P), -1 for none, with similarities.

        First the nearest rows are tested against the rules. For items that have too few left, the
        whole section is searched, without the rows that the rules exclude.
        """
        size = section.stop - section.start
        depth = min(self._rules.depth, size)
        pool = np.full((len(rows), depth), -1, dtype=np.int64)
        similarities = np.full((len(rows), depth), -np.inf, dtype=np.float32)
        unfinished, count, whole = np.arange(len(rows)), min(size, self._candidates), False
        while len(unfinished):
            nearest, cosines, ended = self._nearest(rows[unfinished], section, count, whole=whole)
            satisfying = self._satisfying(rows[unfinished], nearest, cosines)
            first = np.argsort(~satisfying, axis=1, kind="stable")[:, :depth]
            good = np.take_along_axis(satisfying, first, axis=1)
            pool[unfinished, : good.shape[1]] = np.where(
                good, np.take_along_axis(nearest, first, axis=1), -1
            )
            similarities[unfinished, : good.shape[1]] = np.where(
                good, np.take_along_axis(cosines, first, axis=1), -np.inf
            )
            enough = good.sum(axis=1) >= depth
            unfinished = unfinished[~(ended | enough | (whole and count >= size))]
            count, whole = min(size, 4 * count if whole else self._candidates), True
        return pool, similarities

    def _nearest(
        self, rows: RowNumbers, section: slice, count: int, *, whole: bool
    ) -> tuple[RowNumbers, Vectors, Flags]:
        """The `count` nearest rows of a section, the best first, and whether all others are too
        far.

        With `whole` all rows are compared, and those that the rules exclude for an item have a
        similarity of -inf.
        """
        floor = self._rules.min_similarity
        floor = -np.inf if floor is None else floor
        leading = self.leading
        size = section.stop - section.start
        if whole or leading is None or size <= self._exact_up_to:
            scores = self._vectors[rows] @ self._vectors[section].T
            if whole:
                others = np.arange(section.start, section.stop)[None]
                scores[~self._admitted(rows, others, scores)] = -np.inf
                if self._rules.group_by is not None:
                    _keep_best(scores, self.items.products[section])
            nearest, similarities = top(scores, count)
            nearest += section.start
            farthest = similarities.min(axis=1)
            ended = (farthest < floor) | np.isneginf(farthest) | (count >= size)
        else:
            nearest, bounds = top(leading.vectors[rows] @ leading.vectors[section].T, count)
            nearest += section.start
            ended = bounds.min(axis=1) < floor
            similarities = np.empty(nearest.shape, dtype=np.float32)
            for i, row in enumerate(rows):
                similarities[i] = self._vectors[nearest[i]] @ self._vectors[row]
        order = np.lexsort((self.items.ids[nearest], -similarities), axis=1)
        return (
            np.take_along_axis(nearest, order, axis=1),
            np.take_along_axis(similarities, order, axis=1),
            ended,
        )

    def _satisfying(self, rows: RowNumbers, candidates: RowNumbers, similarities: Vectors) -> Flags:
        """Which candidates (B, M), the best first, satisfy all rules for their item: the admitted
        ones, and of each product only the first."""
        satisfying = self._admitted(rows, candidates, similarities)
        if self._rules.group_by is not None:
            products = self.items.products[candidates]
            # An image that is not admitted must not take its product's place.
            unique = -1 - np.arange(candidates.shape[1], dtype=np.int32)
            satisfying &= is_first_of_value(np.where(satisfying, products, unique))
        return satisfying

    def _admitted(self, rows: RowNumbers, others: RowNumbers, similarities: Vectors) -> Flags:
        """Which others, (B, M) or (1, M) for all, the rules admit for their item (B,); section and
        filter are applied before."""
        items, rules = self.items, self._rules
        good = (others != rows[:, None]) & (similarities > -np.inf)
        if rules.group_by is not None:
            good &= items.products[others] != items.products[rows][:, None]
        if not rules.keep_duplicates:
            good &= similarities <= rules.duplicate_similarity
            good &= items.contents[others] != items.contents[rows][:, None]
        for codes in items.different:
            good &= codes[others] != codes[rows][:, None]
        if rules.min_similarity is not None:
            good &= similarities >= rules.min_similarity
        return np.asarray(good)


def block_count(items: int, block_size: int) -> int:
    """Number of blocks for a number of items."""
    return -(-items // block_size)


def _keep_best(scores: Vectors, products: Codes) -> None:
    """Set all scores (B, N) but the best of each product (N,) in its row to -inf, in place."""
    order = np.argsort(products, kind="stable")
    starts = np.flatnonzero(np.diff(products[order], prepend=-1))
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)
    _, number = np.unique(products, return_inverse=True)
    scores[scores < best[:, number]] = -np.inf
