"""Runs an evaluation: ranks the gallery for every query and averages the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cbir.errors import CbirError
from cbir.evaluation import metrics, timing
from cbir.evaluation.ground_truth import GroundTruth
from cbir.evaluation.ranking import Ranking, Search, embedding_rankings, search_rankings
from cbir.evaluation.result import Evaluation, Interval, QueryResult, Similarities
from cbir.retrieval import Retriever

__all__ = ["evaluate"]

BINS = 200
TIMED_QUERIES = 200
_MEANS = {"AP": "mAP", "AP_trapezoidal": "mAP_trapezoidal", "RR": "MRR"}
"""Names of means that differ from the names of their metrics."""


def evaluate(
    retriever: Retriever,
    truth: GroundTruth,
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
    depth: int | None = None,
    exact: bool = True,
    search: Search | None = None,
    timed: int = TIMED_QUERIES,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate a retriever on a ground truth.

    Each query ranks the whole gallery, or its first `depth` images; images beyond count as not
    found. By default images are ordered by similarity of embeddings, for many queries at once, and
    `exact` (or by the gallery's index). `search` gives another order, for example a reranked one:
    `lambda query, k: retriever.search(query, k=k)`.

    Up to `timed` queries are searched again, one by one, to measure the latency; 0 skips this.
    `progress` is called with the number of queries evaluated so far.

    Raises CbirError when a k is deeper than `depth`, ImageError when a query's file cannot be
    read: figures over fewer queries would mislead.
    """
    ks = sorted(set(ks))
    if not ks or ks[0] < 1:
        raise ValueError(f"ks are {ks}; evaluate at least one image")
    if depth is not None and depth < ks[-1]:
        raise CbirError(f"k {ks[-1]} is larger than the depth of {depth}; choose a larger depth")
    count = retriever.gallery.count()
    started = time.perf_counter()
    if search is None:
        rankings = embedding_rankings(retriever, truth.queries, depth=depth, exact=exact)
    else:
        rankings = search_rankings(search, truth.queries, depth=depth, count=count)
    values: list[dict[str, float]] = []
    curve = np.zeros(101)
    pairs = np.zeros((2, BINS), dtype=np.int64)  # irrelevant, relevant
    for ranking in rankings:
        total = ranking.query.total
        values.append(_values(ranking, total, ks))
        curve += metrics.precision_at_recall(ranking.relevant, total=total)
        for row in (0, 1):
            pairs[row] += _histogram(ranking.similarities[ranking.relevant == bool(row)])
        if progress is not None:
            progress(len(values))
    elapsed = time.perf_counter() - started
    seconds = timing.time_searches(
        search or (lambda query, k: retriever.search(query, k=k)),
        retriever.gallery,
        truth.queries,
        count=timed,
        k=ks[-1],
    )
    results = (
        QueryResult(query, query_values, seconds.get(position))
        for position, (query, query_values) in enumerate(zip(truth.queries, values, strict=True))
    )
    return Evaluation(
        metrics=_means(values),
        queries=tuple(results),
        left_out=truth.left_out,
        images=count,
        depth=depth,
        curve=curve / len(values),
        similarities=Similarities(relevant=pairs[1], irrelevant=pairs[0]),
        latency=timing.summary(seconds, ks[-1]),
        seconds=elapsed,
    )


def _values(ranking: Ranking, total: int, ks: Sequence[int]) -> dict[str, float]:
    flags = ranking.relevant
    ideal = np.ones(min(total, ks[-1]))
    values = {
        "AP": metrics.average_precision(flags, total=total),
        "AP_trapezoidal": metrics.trapezoidal_average_precision(flags, total=total),
        "RR": metrics.reciprocal_rank(flags),
    }
    values |= {f"P@{k}": metrics.precision_at(flags, k) for k in ks}
    values |= {f"R@{k}": metrics.recall_at(flags, k, total=total) for k in ks}
    values |= {f"nDCG@{k}": metrics.ndcg_at(flags, k, ideal=ideal) for k in ks}
    return values


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    means = {}
    for name in values[0]:
        column = np.array([query_values[name] for query_values in values])
        low, high = metrics.bootstrap_interval(column)
        means[_MEANS.get(name, name)] = Interval(float(column.mean()), low, high)
    return means


def _histogram(
    similarities: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    counts, _ = np.histogram(np.clip(similarities, -1, 1), bins=BINS, range=(-1, 1))
    return counts
