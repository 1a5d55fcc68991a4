"""Recommendations for one image of a gallery, from its vector index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.errors import NotFoundError
from cbir.gallery import Gallery
from cbir.recommendation.rules import Recommendation, Rules
from cbir.recommendation.selection import maximal_marginal_relevance, weight_bonuses
from cbir.types import ImageRecord

__all__ = ["recommend"]

EXTRA_CANDIDATES = 16
"""Candidates searched beyond the pool at first, since the item and its duplicates are excluded."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    image: ImageRecord
    similarity: float


def recommend(
    gallery: Gallery, item: int, rules: Rules | None = None
) -> tuple[Recommendation, ...]:
    """The images recommended for an image of the gallery, the best first.

    Returns k images if k satisfy the rules. Raises NotFoundError when no image has that id,
    FilterError when the rules name a field that no image has, or one of lists.
    """
    rules = rules or Rules()
    item_image = gallery.image(item)
    allowed = _allowed(gallery, item, rules)
    pool = _pool(gallery, item_image, rules, allowed)
    if not pool:
        return ()
    if rules.diversity > 0:
        vectors, pool = _with_vectors(gallery, pool)
    similarities = np.array([candidate.similarity for candidate in pool], dtype=np.float32)
    ids = np.array([candidate.image.id for candidate in pool], dtype=np.int64)
    scores = similarities + _bonuses(gallery, ids, rules)
    within = np.zeros((len(pool), len(pool)), dtype=np.float32)
    if rules.diversity > 0:
        within = vectors @ vectors.T
    (chosen,) = maximal_marginal_relevance(scores[None], within[None], rules.k, rules.diversity)
    return tuple(
        Recommendation(rank, pool[i].image, float(similarities[i]), float(scores[i]))
        for rank, i in enumerate(chosen, 1)
    )


def _allowed(gallery: Gallery, item: int, rules: Rules) -> Ids | None:
    """Ids that the filter and the fields admit, ascending; None: all."""
    with gallery.catalog.snapshot() as snapshot:
        parts = [] if rules.where is None else [snapshot.matching(rules.where)]
        for fields, same in ((rules.same, True), (rules.different, False)):
            parts += [snapshot.sharing(item, field, same=same) for field in fields]
        if rules.group_by is not None:
            snapshot.check_column(rules.group_by)
    if not parts:
        return None
    return reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), parts)


def _pool(
    gallery: Gallery, item: ImageRecord, rules: Rules, allowed: Ids | None
) -> list[_Candidate]:
    """The most similar images that satisfy the rules, at most `rules.depth`."""
    index = gallery.image_index()
    query = index.project(gallery.embedding(item.id)[None])
    reachable = index.count() if allowed is None else len(allowed)
    count = rules.depth + EXTRA_CANDIDATES
    while True:
        # An approximate index may miss candidates: before the list gets too short, search exactly.
        exact = count > rules.depth + EXTRA_CANDIDATES
        nearest = index.search(query, min(count, max(1, reachable)), allowed=allowed, exact=exact)
        pool = _satisfying(gallery, item, rules, nearest.ids[0], nearest.similarities[0])
        last = nearest.similarities[0, -1]
        too_far = rules.min_similarity is not None and last < rules.min_similarity
        if len(pool) >= rules.depth or (too_far and exact) or (count >= reachable and exact):
            return pool[: rules.depth]
        count *= 4


def _satisfying(
    gallery: Gallery, item: ImageRecord, rules: Rules, ids: Ids, similarities: Vectors
) -> list[_Candidate]:
    """The candidates that the other rules admit: duplicates, products, the least similarity."""
    records = gallery.catalog.records(ids[ids >= 0].tolist())
    indexed = gallery.catalog.indexed_images(
        [item.key, *(record.key for record in records.values())]
    )
    if item.key not in indexed:
        raise NotFoundError(f"image {item.id} is no longer", gallery=gallery.path)
    products = {_product(item, rules)}
    satisfying = []
    for image_id, similarity in zip(ids.tolist(), similarities.tolist(), strict=True):
        record = records.get(image_id)
        if record is None or record.id == item.id or record.key not in indexed:
            continue
        equal = indexed[record.key].content_hash == indexed[item.key].content_hash
        duplicate = equal or similarity > rules.duplicate_similarity
        below = rules.min_similarity is not None and similarity < rules.min_similarity
        product = _product(record, rules)
        if (duplicate and not rules.keep_duplicates) or below or product in products:
            continue
        products.add(product)
        satisfying.append(_Candidate(record, similarity))
    return satisfying


def _product(image: ImageRecord, rules: Rules) -> object:
    """A key that is equal for images of one product."""
    if rules.group_by is None or rules.group_by not in image.metadata:
        return ("image", image.id)
    value = image.metadata[rules.group_by]
    return ("product", type(value) is bool, value)


def _bonuses(gallery: Gallery, ids: Ids, rules: Rules) -> Vectors:
    if rules.weight is None:
        return np.zeros(len(ids), dtype=np.float32)
    with gallery.catalog.snapshot() as snapshot:
        return weight_bonuses(
            ids, snapshot.column(rules.weight), rules.weight, rules.weight_strength
        )


def _with_vectors(gallery: Gallery, pool: list[_Candidate]) -> tuple[Vectors, list[_Candidate]]:
    """Unit vectors (N, d) of candidates, and the candidates without those removed meanwhile."""
    stored = gallery.catalog.embeddings([candidate.image.id for candidate in pool])
    present = [candidate for candidate in pool if candidate.image.id in stored]
    empty = np.empty((0, gallery.spec.dim), np.float32)
    vectors = np.stack([stored[candidate.image.id] for candidate in present]) if present else empty
    return gallery.project(vectors), present
