"""Nearest vectors by blocks, and the first pass in few dimensions."""

from pathlib import Path

import numpy as np
import pytest
from recommendation.shop import open_shop, products

from cbir.indexes import neighbours
from cbir.indexes.neighbours import leading_directions, top
from cbir.recommendation import BatchRecommender, Rules


@pytest.mark.parametrize(
    ("count", "m"), [(1, 1), (5, 9), (64, 3), (1000, 7), (1003, 7), (4099, 40)]
)
def test_the_largest_are_found(count: int, m: int) -> None:
    scores = np.random.default_rng(count).normal(size=(6, count)).astype(np.float32)
    columns, values = top(scores, m)
    np.testing.assert_array_equal(np.take_along_axis(scores, columns, axis=1), values)
    np.testing.assert_array_equal(np.sort(values)[:, ::-1], -np.sort(-scores)[:, :m])
    assert all(len(set(row)) == min(m, count) for row in columns.tolist())


def test_equal_scores_are_found_as_often_as_asked() -> None:
    columns, values = top(np.zeros((2, 2000), np.float32), 5)
    assert values.shape == (2, 5)
    assert all(len(set(row)) == 5 for row in columns.tolist())


def clustered(count: int, dim: int = 256) -> np.ndarray:
    """Unit vectors that lie near a subspace of 24 dimensions, as embeddings of a shop do."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(count, 24)) @ rng.normal(size=(24, dim))
    vectors += 0.3 * rng.normal(size=(count, dim))
    return np.asarray((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def test_the_first_pass_never_underestimates() -> None:
    vectors = clustered(800)
    leading = leading_directions(vectors, 5, 40)
    assert leading is not None
    assert leading.dim == 64
    assert leading.recall >= 0.99
    assert (leading.vectors @ leading.vectors.T >= vectors @ vectors.T - 1e-5).all()


def test_there_is_no_first_pass_where_no_direction_stands_out() -> None:
    noise = np.random.default_rng(0).normal(size=(800, 256)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert leading_directions(noise, 5, 8) is None


@pytest.mark.parametrize(
    "rules",
    [
        Rules(k=5),
        Rules(k=5, different=("brand",), group_by="product"),
        Rules(k=5, min_similarity=0.4),
        Rules(k=5, duplicate_similarity=0.2),
    ],
)
def test_a_first_pass_changes_hardly_anything(
    rules: Rules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    rows = products(900, dim=256)
    rows = [replace(r, embedding=v) for r, v in zip(rows, clustered(900), strict=True)]
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 200_000)
    with open_shop(tmp_path / "g", rows) as gallery:
        fast = BatchRecommender.load(gallery, rules, block_size=256, exact_up_to=100)
        slow = BatchRecommender.load(gallery, rules, exact=True, block_size=256)
        assert fast.leading is not None
        assert slow.leading is None
        quick = np.concatenate([block.ids for block in fast.blocks()])
        exact = np.concatenate([block.ids for block in slow.blocks()])
    assert len(quick) == 900
    np.testing.assert_array_equal((quick >= 0).sum(axis=1), (exact >= 0).sum(axis=1))
    assert (quick == exact).mean() > 0.99
