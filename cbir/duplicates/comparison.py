"""Decides about pairs of images of a gallery, candidate by candidate, the surest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from cbir.duplicates.alignment import Alignment, is_copy
from cbir.duplicates.decider import Candidate, Decider
from cbir.duplicates.disjoint_sets import DisjointSets
from cbir.duplicates.keeping import KeepRule
from cbir.duplicates.links import Link, Links
from cbir.duplicates.multi_index_hash import MultiIndexHash
from cbir.duplicates.neighbour_pairs import NeighbourPairs
from cbir.duplicates.perceptual import (
    ORIENTATION_NAMES,
    PerceptualMatch,
    orient_pairs,
    perceptual_matches,
)
from cbir.duplicates.result import Evidence
from cbir.duplicates.thumbnails import Thumbnails
from cbir.duplicates.verifier import Verifier
from cbir.gallery import Gallery
from cbir.similarity.tiny import orientation_map
from cbir.types import StageProgress

__all__ = ["VERIFIED_SIMILARITY", "Comparison"]

VERIFIED_SIMILARITY = 0.45
"""Least similarity of a pair that is verified: half of an image's area reaches 0.6 with the whole,
a quarter 0.45."""

PAIRS_AT_ONCE = 256
"""Pairs that are aligned or decided together."""

SURER_BITS = 16
"""Differing bits of perceptual hashes by which a candidate is surer than another."""

MAX_REJECTED = 60
"""Candidates of one image that were no copies, after which its less likely ones are left out: of an
archive of one form, each page looks like all others when small."""

Pairs = npt.NDArray[np.int64]


class Comparison:
    """Decides about candidates, joins copies in `groups`, and remembers all in `links`."""

    def __init__(
        self,
        gallery: Gallery,
        thumbnails: Thumbnails,
        neighbours: NeighbourPairs,
        groups: DisjointSets,
        *,
        rule: KeepRule,
        verify: bool,
    ) -> None:
        self._catalog = gallery.catalog
        self._rule = rule
        self._thumbnails = thumbnails
        self._neighbours = neighbours
        self._groups = groups
        self.links = Links()
        self.aligned = 0
        """Number of pairs that were aligned."""
        self._closing = ExitStack()
        self._decider = self._closing.enter_context(Decider(gallery))
        self._verifier = self._closing.enter_context(Verifier(gallery)) if verify else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def failed(self) -> dict[int, str]:
        """The reason for each image that could not be read again, by id."""
        aligned = {} if self._verifier is None else self._verifier.failed
        return aligned | self._decider.pictures.failed

    def decide_near(self, progress: StageProgress) -> None:
        """Decide about pairs with similar perceptual hashes, the surest first."""
        matches = list(self._near_matches())
        ranks = self._ranks({image for match in matches for image in self._ids(match)})

        def order(match: PerceptualMatch) -> tuple[int, int, int]:
            return match.bits // SURER_BITS, self._rank(ranks, *self._ids(match)), match.bits

        matches.sort(key=order)
        rejected = Counter[int]()
        done, total = 0, len(matches)
        while matches:
            chunk, matches = self._next(matches, rejected)
            done = total - len(matches)
            self._add([self._near_candidate(match) for match in chunk])
            for match in chunk:
                link = self.links.get(*self._ids(match))
                if link is not None and not link.is_copy:
                    rejected.update(self._ids(match))
            progress("deciding", done, total)

    def verify(self, progress: StageProgress) -> None:
        """Align pairs of similar embeddings, and decide about those that are copies in part."""
        neighbours = self._neighbours
        similar = neighbours.similarities >= VERIFIED_SIMILARITY
        pairs = neighbours.pairs[similar].tolist()
        ranks = self._ranks({image for pair in pairs for image in pair})
        pairs.sort(key=lambda pair: self._rank(ranks, *pair))
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            end = start + PAIRS_AT_ONCE
            self._add(
                self._aligned(
                    [
                        (first, second)
                        for first, second in pairs[start:end]
                        if not self._groups.joined(first, second)
                        and self._groups.may_join(first, second)
                    ]
                )
            )
            progress("verifying", min(end, len(pairs)), len(pairs))

    def decide_pairs(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Decide about pairs that are connected through others: as wholes, else aligned."""
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            chunk = pairs[start : start + PAIRS_AT_ONCE]
            self._add(list(self._through_others(chunk)), join=False)
            chunk = [pair for pair in chunk if not self._is_copy(pair)]
            matches = orient_pairs(self._rows(chunk), self._thumbnails.hashes)
            self._add([self._near_candidate(match) for match in matches], join=False)
            if self._verifier is not None:
                rest = [pair for pair in chunk if not self._is_copy(pair)]
                self._add(self._aligned(rest), join=False)

    def _is_copy(self, pair: tuple[int, int]) -> bool:
        link = self.links.get(*pair)
        return link is not None and link.is_copy

    def _through_others(
        self, pairs: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[Candidate, Evidence]]:
        """Candidates of which one lies over the other by way of a third one."""
        for first, second in pairs:
            through = self.links.through_another(first, second)
            if through is not None:
                shares, inliers = through
                similarity = self._neighbours.similarity(first, second)
                yield (
                    Candidate(first, second, shares=shares),
                    Evidence(first, second, "verified", similarity, inliers=inliers),
                )

    def _ranks(self, ids: set[int]) -> dict[int, int]:
        """The place of each image in the order in which images are kept."""
        records = self._catalog.records(ids).values()
        in_order = self._rule.sort(list(records))
        return {record.id: place for place, record in enumerate(in_order)}

    @staticmethod
    def _rank(ranks: dict[int, int], first: int, second: int) -> int:
        """That of the better of two: so most are compared at once with the one that is kept."""
        return min(ranks.get(first, len(ranks)), ranks.get(second, len(ranks)))

    def _near_matches(self) -> Iterator[PerceptualMatch]:
        thumbnails, neighbours = self._thumbnails, self._neighbours
        pairs = MultiIndexHash(thumbnails.hashes).pairs(thumbnails.hashes)
        readable = np.isin(neighbours.pairs, thumbnails.ids).all(axis=1)
        by_embedding = np.searchsorted(thumbnails.ids, neighbours.pairs[readable])
        pairs = np.concatenate([pairs, by_embedding])
        pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
        return perceptual_matches(pairs, thumbnails.compared, thumbnails.compared)

    def _next(
        self, matches: Sequence[PerceptualMatch], rejected: Counter[int]
    ) -> tuple[list[PerceptualMatch], list[PerceptualMatch]]:
        """The next pairs to decide about, and the rest: none that others are likely to decide."""
        expected = DisjointSets()
        chunk: list[PerceptualMatch] = []
        deferred: list[PerceptualMatch] = []
        for place, match in enumerate(matches):
            first, second = self._ids(match)
            if self._groups.joined(first, second) or not self._groups.may_join(first, second):
                continue
            if max(rejected[first], rejected[second]) >= MAX_REJECTED:
                continue
            if expected.joined(first, second):
                deferred.append(match)
                continue
            expected.join(first, second)
            chunk.append(match)
            if len(chunk) == PAIRS_AT_ONCE:
                return chunk, [*deferred, *matches[place + 1 :]]
        return chunk, deferred

    def _near_candidate(self, match: PerceptualMatch) -> tuple[Candidate, Evidence]:
        first, second = self._ids(match)
        similarity = self._neighbours.similarity(first, second)
        form = ORIENTATION_NAMES[match.orientation]
        return (
            Candidate(first, second, orientation=match.orientation),
            Evidence(first, second, "near", similarity, match.bits, form=form),
        )

    def _aligned(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Candidate, Evidence]]:
        """Candidates among pairs: those that local features lay over each other."""
        assert self._verifier is not None
        alignments = self._verifier.align(pairs)
        self.aligned += len(pairs)
        return [
            self._aligned_candidate(first, second, alignment)
            for (first, second), alignment in zip(pairs, alignments, strict=True)
            if alignment is not None and is_copy(alignment)
        ]

    def _aligned_candidate(
        self, first: int, second: int, alignment: Alignment
    ) -> tuple[Candidate, Evidence]:
        similarity = self._neighbours.similarity(first, second)
        return (
            Candidate(first, second, shares=alignment.shares),
            Evidence(first, second, "verified", similarity, inliers=alignment.inliers),
        )

    def _add(self, candidates: Sequence[tuple[Candidate, Evidence]], *, join: bool = True) -> None:
        """Decide about candidates, and add what is decided."""
        decisions = self._decider.decide([candidate for candidate, _ in candidates])
        for decision, (candidate, evidence) in zip(decisions, candidates, strict=True):
            shares = candidate.shares
            if shares is None:
                shares = orientation_map(candidate.orientation)
            link = Link(decision, evidence, shares)
            self.links.add(link)
            if join and link.is_copy:
                self._groups.join(evidence.first, evidence.second)

    def _ids(self, match: PerceptualMatch) -> tuple[int, int]:
        ids = self._thumbnails.ids
        return int(ids[match.first]), int(ids[match.second])

    def _rows(self, pairs: Sequence[tuple[int, int]]) -> Pairs:
        """Rows of the thumbnails of pairs of ids, without pairs of which one has none."""
        ids = self._thumbnails.ids
        wanted = np.array(pairs, np.int64).reshape(-1, 2)
        if not len(ids):
            return np.empty((0, 2), np.int64)
        rows = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        return np.asarray(rows[(ids[rows] == wanted).all(axis=1)])
