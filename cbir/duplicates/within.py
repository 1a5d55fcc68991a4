"""Finds the duplicates within a gallery, in groups: exact, near and, on request, verified."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.duplicates.alignment import is_copy
from cbir.duplicates.disjoint_sets import DisjointSets
from cbir.duplicates.multi_index_hash import MultiIndexHash
from cbir.duplicates.perceptual import ORIENTATION_NAMES, PerceptualMatch, perceptual_matches
from cbir.duplicates.result import Duplicates, Evidence, Group, keeper_first
from cbir.duplicates.thumbnails import (
    Contents,
    Thumbnails,
    load_contents,
    load_embeddings,
    load_thumbnails,
)
from cbir.duplicates.verifier import Verifier
from cbir.gallery import Gallery
from cbir.indexes.neighbours import all_nearest
from cbir.types import FailedImage, StageProgress

__all__ = ["NEIGHBOURS", "VERIFIED_SIMILARITY", "find_duplicates", "no_progress"]

NEIGHBOURS = 12
"""Nearest neighbours of each image by embedding that are verified."""

NEAR_NEIGHBOURS = 5
"""Nearest neighbours whose hashes are compared: most near duplicates are found by hash alone."""

VERIFIED_SIMILARITY = 0.45
"""Least similarity of a pair that is verified: half of an image's area reaches 0.6 with the whole,
a quarter 0.45."""

PAIRS_AT_ONCE = 256
"""Pairs that are verified together."""

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Neighbours:
    """Pairs of nearest neighbours by embedding, and the similarity of any two images."""

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
    gallery: Gallery, *, verify: bool = False, progress: StageProgress | None = None
) -> Duplicates:
    """Find groups of images that are copies of one another, each with the one to keep.

    Exact duplicates have the same bytes. Near duplicates show the same whole picture, at any size
    and compression, recoloured, mirrored or turned by right angles, or with text over it. With
    `verify`, pairs of similar embeddings are aligned by local features, too, which finds parts of
    images, images in a frame, and slight turns. Dismissed pairs are never in one group.

    `progress` is called with a stage (`describing`, `comparing`, `verifying`), how much of it is
    done, and how much there is. Descriptors are stored in the catalogue: interrupted, the next
    call goes on from there. Raises GalleryError when the gallery cannot be written to.
    """
    started = time.perf_counter()
    progress = progress or no_progress
    contents = load_contents(gallery)
    groups = DisjointSets(gallery.catalog.dismissed())
    evidence = [
        Evidence(first, copy, "exact")
        for first, copies in contents.copies.items()
        for copy in copies
        if groups.join(first, copy)
    ]
    thumbnails = load_thumbnails(gallery, contents.ids, progress)
    count = NEIGHBOURS if verify else NEAR_NEIGHBOURS
    neighbours = _nearest(gallery, contents.ids, count, progress)
    evidence += _near(thumbnails, neighbours, groups)
    failed = {image.uri: image for image in thumbnails.failed}
    compared: int | None = None
    if verify:
        with Verifier(gallery) as verifier:
            verified, compared = _verified(verifier, neighbours, groups, progress)
        evidence += verified
        records = gallery.catalog.records(verifier.failed)
        for image_id, record in records.items():
            failed.setdefault(record.uri, FailedImage(record.uri, verifier.failed[image_id]))
    return Duplicates(
        groups=tuple(
            replace(
                group,
                evidence=(
                    *_of_keeper(group, contents, thumbnails, neighbours),
                    *group.evidence,
                ),
            )
            for group in _grouped(gallery, groups, evidence)
        ),
        images=contents.images,
        failed=tuple(failed.values()),
        verified_pairs=compared,
        seconds=time.perf_counter() - started,
    )


def no_progress(stage: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


def _nearest(gallery: Gallery, ids: Ids, count: int, progress: StageProgress) -> _Neighbours:
    """Each image with its `count` nearest neighbours by embedding."""
    vectors = load_embeddings(gallery, ids)
    codes, similarities = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start, rows, products in all_nearest(vectors, count):
        query = np.broadcast_to(np.arange(start, start + len(rows))[:, None], rows.shape)
        first, second = np.minimum(query, rows), np.maximum(query, rows)
        codes.append((first * len(ids) + second).ravel())
        similarities.append(products.ravel())
        progress("comparing", start + len(rows), len(ids))
    unique, where = np.unique(np.concatenate(codes), return_index=True)
    distinct = np.concatenate(similarities)[where]
    order = np.argsort(-distinct, kind="stable")
    rows = np.stack(np.divmod(unique[order], max(1, len(ids))), axis=1)
    pairs = ids[rows] if len(ids) else rows
    return _Neighbours(ids, vectors, pairs, distinct[order])


def _near(
    thumbnails: Thumbnails, neighbours: _Neighbours, groups: DisjointSets
) -> Iterator[Evidence]:
    """Evidence of near duplicates, the surest first; joins them in `groups`."""
    pairs = MultiIndexHash(thumbnails.hashes).pairs(thumbnails.hashes)
    readable = np.isin(neighbours.pairs, thumbnails.ids).all(axis=1)
    by_embedding = np.searchsorted(thumbnails.ids, neighbours.pairs[readable])
    pairs = np.concatenate([pairs, by_embedding])
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    matches = perceptual_matches(pairs, thumbnails.compared, thumbnails.compared)
    for match in sorted(matches, key=lambda match: match.bits):
        evidence = _near_evidence(match, thumbnails, neighbours)
        if groups.join(evidence.first, evidence.second):
            yield evidence


def _near_evidence(
    match: PerceptualMatch, thumbnails: Thumbnails, neighbours: _Neighbours
) -> Evidence:
    first, second = int(thumbnails.ids[match.first]), int(thumbnails.ids[match.second])
    similarity = neighbours.similarity(first, second)
    form = ORIENTATION_NAMES[match.orientation]
    return Evidence(first, second, "near", similarity, match.bits, form=form)


def _of_keeper(
    group: Group, contents: Contents, thumbnails: Thumbnails, neighbours: _Neighbours
) -> Iterator[Evidence]:
    """Evidence for the keeper with each other image, as these are shown side by side."""
    keeper = group.keeper.id
    present = {frozenset((pair.first, pair.second)) for pair in group.evidence}
    missing = [
        (keeper, image.id) for image in group.others if frozenset((keeper, image.id)) not in present
    ]
    # Of images with the same bytes, only one has a thumbnail.
    firsts = np.array([[contents.first_of(i) for i in pair] for pair in missing], np.int64)
    if not len(missing) or not len(thumbnails.ids):
        return
    rows = np.minimum(np.searchsorted(thumbnails.ids, firsts), len(thumbnails.ids) - 1)
    readable = (thumbnails.ids[rows] == firsts).all(axis=1)
    matches = {
        (match.first, match.second): match
        for match in perceptual_matches(rows[readable], thumbnails.compared, thumbnails.compared)
    }
    for row, (first, second) in zip(rows.tolist(), missing, strict=True):
        if tuple(row) in matches:
            evidence = _near_evidence(matches[tuple(row)], thumbnails, neighbours)
            yield replace(evidence, first=first, second=second)


def _verified(
    verifier: Verifier, neighbours: _Neighbours, groups: DisjointSets, progress: StageProgress
) -> tuple[list[Evidence], int]:
    """Evidence of pairs that are copies in part, and how many pairs were aligned."""
    similar = neighbours.similarities >= VERIFIED_SIMILARITY
    pairs = neighbours.pairs[similar].tolist()
    similarities = neighbours.similarities[similar].tolist()
    evidence, compared = [], 0
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        end = start + PAIRS_AT_ONCE
        chunk = [
            ((first, second), similarity)
            for (first, second), similarity in zip(
                pairs[start:end], similarities[start:end], strict=True
            )
            if not groups.joined(first, second) and groups.may_join(first, second)
        ]
        alignments = verifier.align([pair for pair, _ in chunk])
        compared += len(chunk)
        for (pair, similarity), alignment in zip(chunk, alignments, strict=True):
            if alignment is not None and is_copy(alignment) and groups.join(*pair):
                inliers = alignment.inliers
                evidence.append(Evidence(*pair, "verified", similarity, inliers=inliers))
        progress("verifying", min(end, len(pairs)), len(pairs))
    return evidence, compared


def _grouped(
    gallery: Gallery, groups: DisjointSets, evidence: Iterable[Evidence]
) -> tuple[Group, ...]:
    """Groups with their records and evidence, the largest first, then by the keeper's id."""
    numbers = {image: number for number, group in enumerate(groups.groups()) for image in group}
    records = gallery.catalog.records(numbers)
    members: dict[int, list[int]] = {}
    for image in records:
        members.setdefault(numbers[image], []).append(image)
    reasons: dict[int, list[Evidence]] = {}
    for pair in evidence:
        if pair.first in records and pair.second in records:
            reasons.setdefault(numbers[pair.first], []).append(pair)
    result = []
    for number, ids in members.items():
        keeper, *others = keeper_first([records[i] for i in ids])
        if others:
            result.append(Group(keeper, tuple(others), tuple(reasons.get(number, ()))))
    result.sort(key=lambda group: (-len(group.others), group.keeper.id))
    return tuple(result)
