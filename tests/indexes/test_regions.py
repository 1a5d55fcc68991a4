"""Images found by their regions, beyond what every vector index must do."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rows import DIM, batch, config, row, unit

from cbir.arrays import Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import ImageRow, RegionRow
from cbir.indexes.regions import RegionIndex
from cbir.indexes.registry import IndexPlace, open_index

SOURCE = "/photos"
COUNT = 300
"""The regions are enough for every kind of index, the wholes are compared one by one."""
EACH = 4
KINDS = ("flat", "hnsw", "ivf", "pq")


@cache
def wholes() -> Vectors:
    return np.stack([unit(i) for i in range(COUNT)])


@cache
def regions() -> Vectors:
    """(N, R, D): of their own, and of image 7 all nearly the same."""
    found = np.stack([unit(10_000 + i) for i in range(COUNT * EACH)]).reshape(COUNT, EACH, DIM)
    found[7, 1:] = found[7, 0] + 0.01 * found[7, 1:]
    found[7] /= np.linalg.norm(found[7], axis=1, keepdims=True)
    return found


def images() -> list[ImageRow]:
    own = zip(wholes(), regions(), strict=True)
    return [row(f"/{i}", whole, regions=parts) for i, (whole, parts) in enumerate(own)]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config())
    yield catalog
    catalog.close()


def opened(catalog: Catalog, folder: Path, kind: str = "flat", **limits: int) -> RegionIndex:
    catalog.change_config(lambda before: replace(before, index=kind))
    images = open_index(kind, IndexPlace(folder / "vectors", DIM))
    parts = open_index(kind, IndexPlace(folder / "regions", DIM, EACH))
    index = RegionIndex(images, parts, EACH, **limits)
    index.catch_up(catalog)
    return index


def scanned(queries: Vectors) -> tuple[Vectors, np.ndarray]:
    """The best similarity of every image (Q, N), and which region has it, 0 for the whole."""
    every = np.concatenate([wholes()[:, None], regions()], axis=1)
    scores = np.einsum("qd,nrd->qnr", queries, every)
    return scores.max(axis=2), scores.argmax(axis=2)


@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_a_full_scan_of_wholes_and_regions(
    catalog: Catalog, tmp_path: Path, kind: str
) -> None:
    catalog.write(SOURCE, batch(*images()))
    index = opened(catalog, tmp_path, kind)
    assert (index.kind, index.count()) == (kind, COUNT)
    queries = np.concatenate([np.stack([unit(90_000 + i) for i in range(20)]), regions()[7]])
    best, which = scanned(queries)
    expected = np.argsort(-best, axis=1)[:, :10]
    exact = index.search(queries, 10, exact=True)
    assert exact.regions is not None
    np.testing.assert_allclose(
        exact.similarities, np.take_along_axis(best, expected, axis=1), atol=2e-3
    )
    assert (exact.ids - 1 == expected).mean() > 0.98  # half precision swaps near ties
    same = exact.ids - 1 == expected
    assert (exact.regions == np.take_along_axis(which, expected, axis=1))[same].mean() > 0.98
    found = index.search(queries, 10)
    recall = [len(set(a) & set(b)) / 10 for a, b in zip(found.ids, exact.ids, strict=True)]
    assert np.mean(recall) >= 0.95
    for ids in (*found.ids.tolist(), *exact.ids.tolist()):
        assert len(set(ids)) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_filters_are_exact_and_find_k_images(catalog: Catalog, tmp_path: Path, kind: str) -> None:
    catalog.write(SOURCE, batch(*images()))
    index = opened(catalog, tmp_path, kind)
    queries = np.concatenate([unit(90_001)[None], regions()[7]])
    best, _ = scanned(queries)
    for count in (0, 3, 60, 250):
        allowed = np.sort(np.random.default_rng(1).choice(COUNT, count, replace=False)) + 1
        found = index.search(queries, 10, allowed=np.append(allowed, COUNT + 5))
        kept = min(10, count)
        truth = -np.sort(-best[:, allowed - 1], axis=1)[:, :kept]
        np.testing.assert_allclose(found.similarities[:, :kept], truth, atol=2e-3)
        assert np.isin(found.ids[:, :kept], allowed).all()
        assert (found.ids[:, kept:] == -1).all()


def test_one_image_with_all_the_nearest_regions_takes_one_place(
    catalog: Catalog, tmp_path: Path
) -> None:
    catalog.write(SOURCE, batch(*images()))
    index = opened(catalog, tmp_path, regions_per_hit=1)  # all first regions are of image 7
    query = regions()[7, :1]
    found = index.search(query, 3)
    best, _ = scanned(query)
    assert (found.ids[0] - 1).tolist() == np.argsort(-best[0])[:3].tolist()


def test_whole_rankings_come_in_bounded_pieces(catalog: Catalog, tmp_path: Path) -> None:
    catalog.write(SOURCE, batch(*images()[:40]))
    index = opened(catalog, tmp_path)
    queries = np.stack([unit(i) for i in range(7)])
    before = index.search(queries, 40)
    in_pieces = opened(catalog, tmp_path, pairs_at_once=2 * 40 * EACH)
    after = in_pieces.search(queries, 40)
    assert after.ids.tolist() == before.ids.tolist()
    assert np.sort(after.ids, axis=1).tolist() == [list(range(1, 41))] * 7


@pytest.mark.parametrize("kind", KINDS)
def test_regions_follow_their_images(catalog: Catalog, tmp_path: Path, kind: str) -> None:
    catalog.write(SOURCE, batch(*images()))
    index = opened(catalog, tmp_path, kind)
    old = regions()[[3, 4, 5], 0]
    catalog.remove([4])  # image 3 of the list
    fresh = np.stack([unit(50_000 + i) for i in range(EACH)])
    catalog.write(SOURCE, batch(row("/4", unit(60_000), regions=fresh), row("/5", unit(60_001))))
    for _ in range(2):
        index.catch_up(catalog)
        for one in (index, opened(catalog, tmp_path, kind)):
            assert one.search(old, 1, exact=True).similarities.max() < 0.98
            again = one.search(fresh, 1)
            assert again.regions is not None
            assert (again.ids[:, 0].tolist(), again.regions[:, 0].tolist()) == (
                [5] * EACH,
                list(range(1, EACH + 1)),
            )
            assert one.regions.count() == EACH * (COUNT - 2)


def test_regions_that_come_later_are_found(catalog: Catalog, tmp_path: Path) -> None:
    plain = [row(f"/{i}", unit(i)) for i in range(20)]
    catalog.write(SOURCE, batch(*plain))
    index = opened(catalog, tmp_path)
    assert index.search(regions()[9, :1], 1).similarities.max() < 0.98
    assert catalog.without_regions() == list(range(1, 21))
    rows = [RegionRow(i + 1, plain[i].content_hash, regions()[i]) for i in range(20)]
    rows[5] = RegionRow(6, b"another content!", regions()[5])
    catalog.write_regions([*rows, RegionRow(99, b"", regions()[0])])
    catalog.write_regions(rows[:3])  # there already: nothing happens
    index.catch_up(catalog)
    found = index.search(regions()[9], 1)
    assert found.ids[:, 0].tolist() == [10] * EACH
    assert catalog.without_regions() == [6]
    assert index.regions.count() == 19 * EACH


def test_vectors_of_regions_come_back(catalog: Catalog, tmp_path: Path) -> None:
    catalog.write(SOURCE, batch(*images()[:10]))
    index = opened(catalog, tmp_path)
    ids, numbers = np.array([3, 8]), np.array([0, 2])
    expected = np.stack([unit(2), regions()[7, 1]])
    np.testing.assert_allclose(index.vectors(ids, numbers), expected, atol=1e-3)
    with pytest.raises(KeyError):
        index.vectors(np.array([77]), np.array([1]))
