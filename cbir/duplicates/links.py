"""Links between images: what was decided about a pair, and by what evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cbir.duplicates.decision import Decision
from cbir.duplicates.result import Evidence
from cbir.similarity.registration import Affine

__all__ = ["COVERED", "Link", "Links"]

COVERED = 0.97
"""Least share of an image that must lie within another one so that it may be removed for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A decision about a pair of images, `evidence.first` and `evidence.second`."""

    decision: Decision
    evidence: Evidence
    shares: Affine
    """Map of the first of the pair onto the second, of positions as shares of the sides."""

    @property
    def is_copy(self) -> bool:
        return self.decision.outcome == "copy"

    def covers(self, keeper: int) -> bool:
        """Whether the keeper shows all that the other of the pair does."""
        decision, is_first = self.decision, keeper == self.evidence.first
        shown = decision.second_covered if is_first else decision.first_covered
        return self.is_copy and shown >= COVERED

    def onto(self, image: int) -> Affine:
        """The map onto this one of the pair."""
        if image == self.evidence.second:
            return self.shares
        return np.linalg.inv(self.shares).astype(np.float64)


class Links:
    """The links of a gallery's images, by pair."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], Link] = {}
        self._copies: dict[int, set[int]] = {}

    def add(self, link: Link) -> None:
        """Add a link; a copy stays a copy."""
        pair = _pair(link.evidence.first, link.evidence.second)
        if pair not in self._links or not self._links[pair].is_copy:
            self._links[pair] = link
            if link.is_copy:
                for one, other in (pair, pair[::-1]):
                    self._copies.setdefault(one, set()).add(other)

    def get(self, first: int, second: int) -> Link | None:
        return self._links.get(_pair(first, second))

    def missing(self, pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Those of the pairs about which nothing was decided."""
        return (pair for pair in pairs if _pair(*pair) not in self._links)

    def through_another(self, first: int, second: int) -> tuple[Affine, int] | None:
        """The map of the first onto the second by way of a copy of both, one of which is a part.

        And the fewest inliers on the way; None where there is no such copy.
        """
        both = self._copies.get(first, set()) & self._copies.get(second, set())
        for middle in sorted(both):
            one, other = self._links[_pair(first, middle)], self._links[_pair(middle, second)]
            inliers = [link.evidence.inliers for link in (one, other)]
            if any(count is not None for count in inliers):
                fewest = min(count for count in inliers if count is not None)
                return other.onto(second) @ one.onto(middle), fewest
        return None

    def alike(self) -> Iterator[Link]:
        """Links of pairs that are not proven to be copies, in the order in which they came."""
        return (link for link in self._links.values() if link.decision.outcome == "alike")


def _pair(first: int, second: int) -> tuple[int, int]:
    return min(first, second), max(first, second)
