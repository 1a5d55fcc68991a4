"""Recommendations for one image of a gallery, by its vector index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.errors import NotFoundError
from cbir.gallery import Gallery
from cbir.recommendation.choice import bonuses, mmr
from cbir.recommendation.rules import Recommendation, Rules
from cbir.types import ImageRecord

__all__ = ["recommend"]

SLACK = 16
"""So many more candidates than wanted are asked for at first: the item itself, its duplicates."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    image: ImageRecord
    similarity: float


def recommend(
    gallery: Gallery, item: int, rules: Rules | None = None
) -> tuple[Recommendation, ...]:
    """What is recommended for an image of the gallery, the best first.

    k of them where k images satisfy the rules. Raises NotFoundError when there is no image of
    that id, FilterError when the rules name a field that means nothing in this gallery.
    """
    rules = rules or Rules()
    own = gallery.image(item)
    allowed = _allowed(gallery, item, rules)
    pool = _pool(gallery, own, rules, allowed)
    if not pool:
        return ()
    if rules.diversity > 0:
        vectors, pool = _with_vectors(gallery, pool)
    similarities = np.array([candidate.similarity for candidate in pool], dtype=np.float32)
    ids = np.array([candidate.image.id for candidate in pool], dtype=np.int64)
    scores = similarities + _bonuses(gallery, ids, rules)
    alike = np.zeros((len(pool), len(pool)), dtype=np.float32)
    if rules.diversity > 0:
        alike = vectors @ vectors.T
    (chosen,) = mmr(scores[None], alike[None], rules.k, rules.diversity)
    return tuple(
        Recommendation(rank, pool[i].image, float(similarities[i]), float(scores[i]))
        for rank, i in enumerate(chosen, 1)
    )


def _allowed(gallery: Gallery, item: int, rules: Rules) -> Ids | None:
    """Ids that filters and fields allow, ascending; None: all."""
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
    gallery: Gallery, own: ImageRecord, rules: Rules, allowed: Ids | None
) -> list[_Candidate]:
    """The most similar images that satisfy the rules, as many as are chosen among."""
    index = gallery.image_index()
    query = index.project(gallery.embedding(own.id)[None])
    reachable = index.count() if allowed is None else len(allowed)
    ask = rules.depth + SLACK
    while True:
        # What an approximate index misses must not make the list shorter than it could be.
        exact = ask > rules.depth + SLACK
        found = index.search(query, min(ask, max(1, reachable)), allowed=allowed, exact=exact)
        pool = _satisfying(gallery, own, rules, found.ids[0], found.similarities[0])
        last = found.similarities[0, -1]
        too_far = rules.min_similarity is not None and last < rules.min_similarity
        if len(pool) >= rules.depth or (too_far and exact) or (ask >= reachable and exact):
            return pool[: rules.depth]
        ask *= 4


def _satisfying(
    gallery: Gallery, own: ImageRecord, rules: Rules, ids: Ids, similarities: Vectors
) -> list[_Candidate]:
    """Candidates that satisfy what no filter says: duplicates, products, the least similarity."""
    records = gallery.catalog.records(ids[ids >= 0].tolist())
    known = gallery.catalog.known([own.key, *(record.key for record in records.values())])
    if own.key not in known:
        raise NotFoundError(f"image {own.id} is no longer", gallery=gallery.path)
    products = {_product(own, rules)}
    kept = []
    for image_id, similarity in zip(ids.tolist(), similarities.tolist(), strict=True):
        record = records.get(image_id)
        if record is None or record.id == own.id or record.key not in known:
            continue
        equal = known[record.key].content_hash == known[own.key].content_hash
        duplicate = equal or similarity > rules.duplicate_similarity
        below = rules.min_similarity is not None and similarity < rules.min_similarity
        product = _product(record, rules)
        if (duplicate and not rules.keep_duplicates) or below or product in products:
            continue
        products.add(product)
        kept.append(_Candidate(record, similarity))
    return kept


def _product(image: ImageRecord, rules: Rules) -> object:
    """What two images of one product have in common."""
    if rules.group_by is None or rules.group_by not in image.metadata:
        return ("image", image.id)
    value = image.metadata[rules.group_by]
    return ("product", type(value) is bool, value)


def _bonuses(gallery: Gallery, ids: Ids, rules: Rules) -> Vectors:
    if rules.weight is None:
        return np.zeros(len(ids), dtype=np.float32)
    with gallery.catalog.snapshot() as snapshot:
        return bonuses(ids, snapshot.column(rules.weight), rules.weight, rules.weight_strength)


def _with_vectors(gallery: Gallery, pool: list[_Candidate]) -> tuple[Vectors, list[_Candidate]]:
    """Candidates and their unit vectors (N, d), without images that have left meanwhile."""
    stored = gallery.catalog.embeddings([candidate.image.id for candidate in pool])
    kept = [candidate for candidate in pool if candidate.image.id in stored]
    empty = np.empty((0, gallery.spec.dim), np.float32)
    vectors = np.stack([stored[candidate.image.id] for candidate in kept]) if kept else empty
    return gallery.project(vectors), kept
