"""Connected groups in which no two images stand that somebody said are no duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["Union"]


class Union:
    """Joins pairs into groups, in the order in which they come."""

    def __init__(self, dismissed: Iterable[tuple[int, int]] = ()) -> None:
        self._group: dict[int, list[int]] = {}
        """The members of the group of each image that has one; the members share the list."""
        self._apart: dict[int, set[int]] = {}
        for a, b in dismissed:
            self._apart.setdefault(a, set()).add(b)
            self._apart.setdefault(b, set()).add(a)

    def joined(self, a: int, b: int) -> bool:
        """Whether two images are in one group."""
        group = self._group.get(a)
        return group is not None and group is self._group.get(b)

    def may_join(self, a: int, b: int) -> bool:
        """Whether no dismissed pair would come together."""
        if not self._apart:
            return True
        one, other = self._members(a), self._members(b)
        if len(one) > len(other):
            one, other = other, one
        within = set(other)
        return not any(within & self._apart[i] for i in one if i in self._apart)

    def join(self, a: int, b: int) -> bool:
        """Put the groups of two images together; False where they may not be."""
        if self.joined(a, b):
            return True
        if not self.may_join(a, b):
            return False
        one, other = self._members(a), self._members(b)
        if len(one) < len(other):
            one, other = other, one
        one.extend(other)
        # The smaller one is renamed; of a new group, all are named.
        for member in other if one[0] in self._group else one:
            self._group[member] = one
        return True

    def groups(self) -> Iterator[list[int]]:
        """The groups of two and more."""
        seen = set()
        for group in self._group.values():
            if id(group) not in seen:
                seen.add(id(group))
                yield group

    def _members(self, image: int) -> list[int]:
        return self._group.get(image) or [image]
