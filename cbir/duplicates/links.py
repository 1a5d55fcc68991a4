"""Links between images: what was decided about a pair, and by what evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cbir.duplicates.decision import Decision
from cbir.duplicates.result import Evidence

__all__ = ["COVERED", "Link", "Links"]

COVERED = 0.97
"""Least share of an image that must lie within another one so that it may be removed for it."""


@dataclass(frozen=True, slots=True)
class Link:
    """A decision about a pair of images, `evidence.first` and `evidence.second`."""

    decision: Decision
    evidence: Evidence

    @property
    def is_copy(self) -> bool:
        return self.decision.outcome == "copy"

    def covers(self, keeper: int) -> bool:
        """Whether the keeper shows all that the other of the pair does."""
        decision, is_first = self.decision, keeper == self.evidence.first
        shown = decision.second_covered if is_first else decision.first_covered
        return self.is_copy and shown >= COVERED


class Links:
    """The links of a gallery's images, by pair."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], Link] = {}

    def add(self, link: Link) -> None:
        """Add a link; a copy stays a copy."""
        pair = _pair(link.evidence.first, link.evidence.second)
        if pair not in self._links or not self._links[pair].is_copy:
            self._links[pair] = link

    def get(self, first: int, second: int) -> Link | None:
        return self._links.get(_pair(first, second))

    def missing(self, pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Those of the pairs about which nothing was decided."""
        return (pair for pair in pairs if _pair(*pair) not in self._links)

    def alike(self) -> Iterator[Link]:
        """Links of pairs that are not proven to be copies, in the order in which they came."""
        return (link for link in self._links.values() if link.decision.outcome == "alike")


def _pair(first: int, second: int) -> tuple[int, int]:
    return min(first, second), max(first, second)
