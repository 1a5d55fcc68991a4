"""The duplicates of a gallery: exact, near, and where asked verified, in groups."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.duplicates.hashes import Meeting
from cbir.duplicates.parts import is_copy
from cbir.duplicates.stock import Contents, Stock, load_contents, load_littles, load_vectors
from cbir.duplicates.union import Union
from cbir.duplicates.values import Duplicates, Evidence, Group, Progress, keeper_first
from cbir.duplicates.verifying import Verifier
from cbir.duplicates.whole import FORM_NAMES, Whole, same_pictures
from cbir.gallery import Gallery
from cbir.indexes.neighbours import all_nearest
from cbir.types import FailedImage

__all__ = ["NEIGHBOURS", "VERIFIED_SIMILARITY", "find_duplicates"]

NEIGHBOURS = 12
"""Of each image, so many nearest by embedding are looked at by keypoints."""

NEAR_NEIGHBOURS = 5
"""And so many of the whole pictures: most of those, the hashes find."""

VERIFIED_SIMILARITY = 0.45
"""Less alike, a pair is not compared by keypoints: half of a picture's area reaches 0.6, a
quarter 0.45."""

VERIFIED_AT_ONCE = 256

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Nearest:
    """Pairs of similar images, and the similarity of any."""

    ids: Ids
    """(N,) ascending."""
    vectors: Vectors
    """(N, D)"""
    pairs: Pairs
    """(P, 2) of ids, the smaller first, the most similar pair first."""
    similarities: Vectors
    """(P,)"""

    def similarity(self, first: int, second: int) -> float:
        a, b = np.searchsorted(self.ids, (first, second))
        return float(self.vectors[a] @ self.vectors[b])


def find_duplicates(
    gallery: Gallery, *, verify: bool = False, progress: Progress | None = None
) -> Duplicates:
    """Groups of images that are copies of one another, each with the one to keep.

    Exact: of the same bytes. Near: the same whole picture, however large, compressed, recoloured,
    mirrored or turned by right angles, or with text laid over it. With `verify` pairs of similar
    embeddings are laid on one another by keypoints, which finds parts of pictures, pictures in a
    frame, and turned ones. Dismissed pairs are never in one group.

    What is made of an image for it is kept in the catalogue: interrupted, the next call goes on.
    Raises GalleryError when the gallery cannot be written to.
    """
    started = time.perf_counter()
    tell: Progress = progress or (lambda stage, done, total: None)
    contents = load_contents(gallery)
    union = Union(gallery.catalog.dismissed())
    evidence = [
        Evidence(first, copy, "exact")
        for first, copies in contents.copies.items()
        for copy in copies
        if union.join(first, copy)
    ]
    stock = load_littles(gallery, contents.ids, tell)
    neighbours = NEIGHBOURS if verify else NEAR_NEIGHBOURS
    nearest = _nearest(gallery, contents.ids, neighbours, tell)
    evidence += _near(stock, nearest, union)
    failed = {image.uri: image for image in stock.failed}
    compared: int | None = None
    if verify:
        verifier = Verifier(gallery)
        try:
            found, compared = _verified(verifier, nearest, union, tell)
        finally:
            verifier.close()
        evidence += found
        records = gallery.catalog.records(verifier.failed)
        for image_id, record in records.items():
            failed.setdefault(record.uri, FailedImage(record.uri, verifier.failed[image_id]))
    return Duplicates(
        groups=tuple(
            replace(group, evidence=(*_of_keeper(group, contents, stock, nearest), *group.evidence))
            for group in _grouped(gallery, union, evidence)
        ),
        images=contents.images,
        failed=tuple(failed.values()),
        verified_pairs=compared,
        seconds=time.perf_counter() - started,
    )


def _nearest(gallery: Gallery, ids: Ids, neighbours: int, tell: Progress) -> _Nearest:
    """Each image with those whose embeddings are most like its own."""
    vectors = load_vectors(gallery, ids)
    codes, similarities = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start, rows, products in all_nearest(vectors, neighbours):
        own = np.broadcast_to(np.arange(start, start + len(rows))[:, None], rows.shape)
        first, second = np.minimum(own, rows), np.maximum(own, rows)
        codes.append((first * len(ids) + second).ravel())
        similarities.append(products.ravel())
        tell("comparing", start + len(rows), len(ids))
    unique, where = np.unique(np.concatenate(codes), return_index=True)
    alike = np.concatenate(similarities)[where]
    order = np.argsort(-alike, kind="stable")
    rows = np.stack(np.divmod(unique[order], max(1, len(ids))), axis=1)
    pairs = ids[rows] if len(ids) else rows
    return _Nearest(ids, vectors, pairs, alike[order])


def _near(stock: Stock, nearest: _Nearest, union: Union) -> Iterator[Evidence]:
    """Evidence of same whole pictures, the surest first; joins them."""
    pairs = Meeting(stock.prints).pairs(stock.prints)
    known = np.isin(nearest.pairs, stock.ids).all(axis=1)
    pairs = np.concatenate([pairs, np.searchsorted(stock.ids, nearest.pairs[known])])
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    both = stock.littles, stock.prints
    for same in sorted(same_pictures(pairs, both, both), key=lambda same: same.bits):
        one = _near_evidence(same, stock, nearest)
        if union.join(one.first, one.second):
            yield one


def _near_evidence(same: Whole, stock: Stock, nearest: _Nearest) -> Evidence:
    first, second = int(stock.ids[same.first]), int(stock.ids[same.second])
    alike = nearest.similarity(first, second)
    return Evidence(first, second, "near", alike, same.bits, form=FORM_NAMES[same.form])


def _of_keeper(
    group: Group, contents: Contents, stock: Stock, nearest: _Nearest
) -> Iterator[Evidence]:
    """What the keeper itself has in common with the others, as a person will compare them."""
    keeper = group.keeper.id
    known = {frozenset((one.first, one.second)) for one in group.evidence}
    asked = [
        (keeper, image.id) for image in group.others if frozenset((keeper, image.id)) not in known
    ]
    # Of images with the same bytes, one is in stock.
    firsts = np.array([[contents.first_of(i) for i in pair] for pair in asked], np.int64)
    if not len(asked) or not len(stock.ids):
        return
    rows = np.minimum(np.searchsorted(stock.ids, firsts), len(stock.ids) - 1)
    there = (stock.ids[rows] == firsts).all(axis=1)
    both = stock.littles, stock.prints
    found = {(same.first, same.second): same for same in same_pictures(rows[there], both, both)}
    for row, (first, second) in zip(rows.tolist(), asked, strict=True):
        if tuple(row) in found:
            one = _near_evidence(found[tuple(row)], stock, nearest)
            yield replace(one, first=first, second=second)


def _verified(
    verifier: Verifier, nearest: _Nearest, union: Union, tell: Progress
) -> tuple[list[Evidence], int]:
    """Evidence of pairs that are no copies as a whole, and how many were compared."""
    alike = nearest.similarities >= VERIFIED_SIMILARITY
    pairs, similarities = nearest.pairs[alike].tolist(), nearest.similarities[alike].tolist()
    evidence, compared = [], 0
    for start in range(0, len(pairs), VERIFIED_AT_ONCE):
        end = start + VERIFIED_AT_ONCE
        asked = [
            ((first, second), similarity)
            for (first, second), similarity in zip(
                pairs[start:end], similarities[start:end], strict=True
            )
            if not union.joined(first, second) and union.may_join(first, second)
        ]
        outcomes = verifier.compare([pair for pair, _ in asked])
        compared += len(asked)
        for (pair, similarity), found in zip(asked, outcomes, strict=True):
            if found is not None and is_copy(found) and union.join(*pair):
                evidence.append(Evidence(*pair, "verified", similarity, inliers=found.inliers))
        tell("verifying", min(end, len(pairs)), len(pairs))
    return evidence, compared


def _grouped(gallery: Gallery, union: Union, evidence: Iterable[Evidence]) -> tuple[Group, ...]:
    members = {image: number for number, group in enumerate(union.groups()) for image in group}
    records = gallery.catalog.records(members)
    images: dict[int, list[int]] = {}
    for image in records:
        images.setdefault(members[image], []).append(image)
    reasons: dict[int, list[Evidence]] = {}
    for one in evidence:
        if one.first in records and one.second in records:
            reasons.setdefault(members[one.first], []).append(one)
    groups = []
    for number, ids in images.items():
        keeper, *others = keeper_first([records[i] for i in ids])
        if others:
            groups.append(Group(keeper, tuple(others), tuple(reasons.get(number, ()))))
    groups.sort(key=lambda group: (-len(group.others), group.keeper.id))
    return tuple(groups)
