"""Disjoint sets: groups of images, joined pair by pair, that keep dismissed pairs apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["DisjointSets"]


class DisjointSets:
    """Disjoint sets of image ids in which no dismissed pair comes together (union-find).

    A pair that would bring a dismissed one together is not joined, so the order of joins matters.
    """

    def __init__(self, dismissed: Iterable[tuple[int, int]] = ()) -> None:
        self._group: dict[int, list[int]] = {}
        """The group of each image in one; its members share the list."""
        self._dismissed: dict[int, set[int]] = {}
        for a, b in dismissed:
            self._dismissed.setdefault(a, set()).add(b)
            self._dismissed.setdefault(b, set()).add(a)

    def joined(self, a: int, b: int) -> bool:
        """Whether two images are in one group."""
        group = self._group.get(a)
        return group is not None and group is self._group.get(b)

    def may_join(self, a: int, b: int) -> bool:
        """Whether joining two images brings no dismissed pair together."""
        if not self._dismissed:
            return True
        smaller, larger = sorted((self._members(a), self._members(b)), key=len)
        others = set(larger)
        return not any(others & self._dismissed[i] for i in smaller if i in self._dismissed)

    def join(self, a: int, b: int) -> bool:
        """Join the groups of two images; False if that would bring a dismissed pair together."""
        if self.joined(a, b):
            return True
        if not self.may_join(a, b):
            return False
        larger, smaller = self._members(a), self._members(b)
        if len(larger) < len(smaller):
            larger, smaller = smaller, larger
        larger.extend(smaller)
        # Only members of the smaller group change groups; those of a new group all get theirs.
        for member in smaller if larger[0] in self._group else larger:
            self._group[member] = larger
        return True

    def groups(self) -> Iterator[list[int]]:
        """The groups of two images or more."""
        seen = set()
        for group in self._group.values():
            if id(group) not in seen:
                seen.add(id(group))
                yield group

    def _members(self, image: int) -> list[int]:
        return self._group.get(image) or [image]
