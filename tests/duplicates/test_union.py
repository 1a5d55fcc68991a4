"""Groups that keep apart what somebody said is apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.duplicates.union import Union


def test_pairs_become_groups() -> None:
    union = Union()
    for pair in [(1, 2), (3, 4), (2, 3), (5, 6), (1, 4)]:
        assert union.join(*pair)
    assert sorted(sorted(group) for group in union.groups()) == [[1, 2, 3, 4], [5, 6]]
    assert union.joined(1, 4)
    assert not union.joined(1, 5)


@pytest.mark.parametrize("dismissed", [(1, 3), (3, 1)])
def test_a_dismissed_pair_never_comes_together(dismissed: tuple[int, int]) -> None:
    union = Union([dismissed])
    assert union.join(1, 2)
    assert not union.may_join(2, 3)
    assert not union.join(2, 3)
    assert not union.join(1, 3)
    assert union.join(3, 4)
    assert not union.join(4, 2)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19)), max_size=30))
def test_groups_are_those_of_the_pairs(pairs: list[tuple[int, int]]) -> None:
    union = Union()
    expected: list[set[int]] = []
    for pair in pairs:
        union.join(*pair)
        touched = [group for group in expected if group & set(pair)]
        expected = [group for group in expected if group not in touched]
        expected.append(set(pair).union(*touched))
    assert sorted(map(sorted, union.groups())) == sorted(map(sorted, expected))
