"""Pairs that are no duplicates: remembered, and forgotten with what they were said of."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from rows import batch, config, row, unit

from cbir.catalog.catalog import Catalog


@pytest.fixture
def catalog(tmp_path) -> Iterator[Catalog]:  # type: ignore[no-untyped-def]
    catalog = Catalog.create(f"sqlite:///{tmp_path}/c.sqlite", config())
    catalog.write("/s", batch(*(row(f"/s/{i}.png", unit(i)) for i in range(1, 5))))
    yield catalog
    catalog.close()


def test_a_pair_is_one_pair_in_either_order(catalog: Catalog) -> None:
    assert catalog.dismiss([(3, 1), (1, 3), (2, 4), (2, 2)]) == 2
    assert catalog.dismiss([(1, 3)]) == 0
    assert catalog.dismissed() == [(1, 3), (2, 4)]
    assert catalog.undismiss([(3, 1), (1, 2)]) == 1
    assert catalog.dismissed() == [(2, 4)]


def test_images_that_are_not_there_are_left_out(catalog: Catalog) -> None:
    assert catalog.dismiss([(1, 99)]) == 0
    assert catalog.dismissed() == []


def test_many_pairs_at_once(catalog: Catalog) -> None:
    rows = [row(f"/s/{i}.png", unit(i)) for i in range(5, 100)]
    catalog.write("/s", batch(*rows))
    pairs = [(a, b) for a in range(1, 100) for b in range(a + 1, 100)]
    assert catalog.dismiss(pairs) == len(pairs)
    assert catalog.undismiss(pairs) == len(pairs)


def test_it_goes_with_an_image_and_with_its_content(catalog: Catalog) -> None:
    catalog.dismiss([(1, 2), (2, 3), (3, 4)])
    changed = replace(row("/s/2.png", unit(7)), content_hash=b"other".ljust(16))
    catalog.write("/s", batch(changed))
    assert catalog.dismissed() == [(3, 4)]
    catalog.remove([4])
    assert catalog.dismissed() == []
