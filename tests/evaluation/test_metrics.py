from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from cbir.evaluation.metrics import (
    average_precision,
    bootstrap_interval,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank,
    trapezoidal_average_precision,
)

RANKING = [True, False, True, False, False, True]  # relevant at ranks 1, 3 and 6

rankings = st.lists(st.booleans(), min_size=1, max_size=40).filter(any)


def radenovic_ap(ranks: list[int], relevant: int) -> float:
    """`compute_ap` of revisitop's evaluate.py, loop by loop; ranks count from 0."""
    ap = 0.0
    for j, rank in enumerate(ranks):
        before = 1.0 if rank == 0 else j / rank
        at = (j + 1) / (rank + 1)
        ap += (before + at) / relevant / 2
    return ap


def test_values_computed_by_hand() -> None:
    assert average_precision(RANKING) == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert trapezoidal_average_precision(RANKING) == pytest.approx(
        ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 5 + 3 / 6) / 2) / 3
    )
    assert precision_at(RANKING, 1) == 1
    assert precision_at(RANKING, 4) == 0.5
    assert recall_at(RANKING, 3) == pytest.approx(2 / 3)
    assert reciprocal_rank([False, False, True]) == pytest.approx(1 / 3)
    assert ndcg_at([False, True], 2) == pytest.approx(1 / np.log2(3))
    assert ndcg_at([1, 3], 2) == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))


def test_images_that_a_short_ranking_lacks_count_as_not_found() -> None:
    assert average_precision([True], total=4) == 0.25
    assert trapezoidal_average_precision([True], total=4) == 0.25
    assert recall_at([True], 10, total=4) == 0.25
    assert precision_at([True], 10) == 0.1
    assert ndcg_at([True], 10, ideal=[1, 1]) == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert reciprocal_rank([]) == 0
    assert average_precision([], total=4) == 0


@given(rankings)
def test_average_precision_is_scikit_learn_s(relevant: list[bool]) -> None:
    scores = -np.arange(len(relevant))
    assert average_precision(relevant) == pytest.approx(average_precision_score(relevant, scores))


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30).filter(any), st.integers(1, 35))
def test_ndcg_is_scikit_learn_s(gains: list[int], k: int) -> None:
    scores = -np.arange(len(gains))
    assert ndcg_at(gains, k) == pytest.approx(ndcg_score([gains], [scores], k=k))


@given(rankings)
def test_trapezia_are_those_of_the_oxford_and_paris_benchmarks(relevant: list[bool]) -> None:
    ranks = [rank for rank, flag in enumerate(relevant) if flag]
    area = trapezoidal_average_precision(relevant)
    assert area == pytest.approx(radenovic_ap(ranks, len(ranks)))
    assert area <= average_precision(relevant) + 1e-12


@given(rankings, st.integers(1, 50), st.integers(0, 5))
def test_every_metric_lies_between_0_and_1(relevant: list[bool], k: int, lost: int) -> None:
    total = sum(relevant) + lost
    values = [
        average_precision(relevant, total=total),
        trapezoidal_average_precision(relevant, total=total),
        precision_at(relevant, k),
        recall_at(relevant, k, total=total),
        ndcg_at(relevant, k, ideal=[1] * total),
        reciprocal_rank(relevant),
    ]
    assert all(0 <= value <= 1 + 1e-12 for value in values)


@given(st.integers(1, 20), st.integers(0, 20))
def test_a_perfect_ranking_has_1_everywhere(relevant: int, others: int) -> None:
    ranking = [True] * relevant + [False] * others
    assert average_precision(ranking) == pytest.approx(1)
    assert trapezoidal_average_precision(ranking) == pytest.approx(1)
    assert precision_at(ranking, relevant) == 1
    assert recall_at(ranking, relevant) == 1
    assert ndcg_at(ranking, len(ranking)) == pytest.approx(1)
    assert reciprocal_rank(ranking) == 1


@given(rankings, st.integers(0, 10))
def test_what_follows_the_last_relevant_image_does_not_matter(
    relevant: list[bool], more: int
) -> None:
    longer = [*relevant, *[False] * more]
    assert average_precision(longer) == average_precision(relevant)
    assert trapezoidal_average_precision(longer) == trapezoidal_average_precision(relevant)
    assert reciprocal_rank(longer) == reciprocal_rank(relevant)
    assert ndcg_at(longer, 10) == pytest.approx(ndcg_at(relevant, 10))


@given(rankings, st.data())
def test_moving_a_relevant_image_up_never_hurts(relevant: list[bool], data: st.DataObject) -> None:
    places = [i for i, (a, b) in enumerate(pairwise(relevant)) if not a and b]
    if not places:
        return
    at = data.draw(st.sampled_from(places))
    better = list(relevant)
    better[at], better[at + 1] = True, False
    assert average_precision(better) > average_precision(relevant)
    assert trapezoidal_average_precision(better) > trapezoidal_average_precision(relevant)
    assert ndcg_at(better, len(better)) > ndcg_at(relevant, len(better))
    assert reciprocal_rank(better) >= reciprocal_rank(relevant)


def test_a_query_without_any_relevant_image_is_an_error() -> None:
    for metric in (average_precision, trapezoidal_average_precision):
        with pytest.raises(ValueError, match="0 images are relevant; leave such a query out"):
            metric([False, False])
    with pytest.raises(ValueError, match="gain above zero"):
        ndcg_at([False], 1)
    with pytest.raises(ValueError, match="1 images are relevant; but 2 are ranked"):
        recall_at([True, True], 1, total=1)


@pytest.mark.parametrize("k", [0, -1])
def test_k_must_be_positive(k: int) -> None:
    for metric in (precision_at, recall_at, ndcg_at):
        with pytest.raises(ValueError, match="at least one"):
            metric([True], k)


def test_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2\), not \(n,\)"):
        average_precision([[True, False]])
    with pytest.raises(ValueError, match="negative"):
        ndcg_at([1, -1], 1)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.beta(4, 2, 60), resamples=300, seed=seed)
        covered += low <= 4 / 6 <= high
    assert 0.89 <= covered / 200 <= 0.99


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_interval_stays_within_the_values(values: list[float]) -> None:
    low, high = bootstrap_interval(values, resamples=50)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_the_interval_is_repeatable_whatever_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values: npt.NDArray[np.float64] = np.random.default_rng(0).random(50)
    whole = bootstrap_interval(values)
    assert whole == bootstrap_interval(values)
    assert whole != bootstrap_interval(values, seed=1)
    monkeypatch.setattr("cbir.evaluation.metrics.DRAWS_AT_ONCE", 60)
    assert bootstrap_interval(values) == pytest.approx(whole)
    narrow = bootstrap_interval(values, confidence=0.5)
    assert whole[0] < narrow[0] < narrow[1] < whole[1]


@pytest.mark.parametrize(
    ("values", "options"),
    [([], {}), ([[1.0]], {}), ([1.0], {"confidence": 1.0}), ([1.0], {"resamples": 0})],
)
def test_an_interval_needs_values_and_a_confidence(
    values: list[float], options: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"values of shape|make no interval"):
        bootstrap_interval(values, **options)  # type: ignore[arg-type]
