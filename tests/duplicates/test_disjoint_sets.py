"""Groups that keep apart what somebody said is apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.duplicates.disjoint_sets import DisjointSets


def test_pairs_become_groups() -> None:
    groups = DisjointSets()
    for pair in [(1, 2), (3, 4), (2, 3), (5, 6), (1, 4)]:
        assert groups.join(*pair)
    assert sorted(sorted(group) for group in groups.groups()) == [[1, 2, 3, 4], [5, 6]]
    assert groups.joined(1, 4)
    assert not groups.joined(1, 5)


@pytest.mark.parametrize("dismissed", [(1, 3), (3, 1)])
def test_a_dismissed_pair_never_comes_together(dismissed: tuple[int, int]) -> None:
    groups = DisjointSets([dismissed])
    assert groups.join(1, 2)
    assert not groups.may_join(2, 3)
    assert not groups.join(2, 3)
    assert not groups.join(1, 3)
    assert groups.join(3, 4)
    assert not groups.join(4, 2)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19)), max_size=30))
def test_groups_are_those_of_the_pairs(pairs: list[tuple[int, int]]) -> None:
    groups = DisjointSets()
    expected: list[set[int]] = []
    for pair in pairs:
        groups.join(*pair)
        touched = [group for group in expected if group & set(pair)]
        expected = [group for group in expected if group not in touched]
        expected.append(set(pair).union(*touched))
    assert sorted(map(sorted, groups.groups())) == sorted(map(sorted, expected))
