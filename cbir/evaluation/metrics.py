"""Retrieval metrics: pure functions of the relevance of ranked images, best first.

`relevant` is (n,) bool in ranked order, without the query and without junk. For a truncated
ranking, `total` is the number of all relevant images; by default the ranking holds them all. All
values lie in [0, 1], and 1 is perfect. Every function raises ValueError when there is no relevant
image, for which none of these is defined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "average_precision",
    "bootstrap_interval",
    "ndcg_at",
    "precision_at",
    "precision_at_recall",
    "recall_at",
    "reciprocal_rank",
    "trapezoidal_average_precision",
]

DRAWS_AT_ONCE = 4_000_000
"""Bounds the memory of a bootstrap: 32 MB of indices."""


def average_precision(relevant: npt.ArrayLike, *, total: int | None = None) -> float:
    """Mean of the precision at the rank of each relevant image; 0 for one that is not found.

    AP = 1/R Σ_j j / r_j, where r_j is the rank (from 1) of the j-th relevant image and R their
    number: the area under the precision-recall curve by rectangles, as TREC and scikit-learn
    compute it (Manning, Raghavan, Schütze 2008, section 8.4).
    """
    flags, total = _checked(relevant, total)
    ranks = np.flatnonzero(flags) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).sum() / total)


def trapezoidal_average_precision(relevant: npt.ArrayLike, *, total: int | None = None) -> float:
    """Average precision by trapezia: AP = 1/R Σ_j (p(r_j - 1) + p(r_j)) / 2, with p(0) = 1.

    The rule of the Oxford and Paris benchmarks (Philbin et al. 2007) and of their revisited
    versions (Radenović et al. 2018); never above `average_precision`, with which it must not be
    compared.
    """
    flags, total = _checked(relevant, total)
    ranks = np.flatnonzero(flags)  # from 0: the number of images before
    earlier = np.arange(len(ranks))  # relevant images before each
    before = np.where(ranks == 0, 1.0, earlier / np.maximum(ranks, 1))
    at = (earlier + 1) / (ranks + 1)
    return float((before + at).sum() / 2 / total)


def precision_at(relevant: npt.ArrayLike, k: int) -> float:
    """Share of the first k that is relevant; missing ranks of a short ranking count as
    irrelevant."""
    flags = _flags(relevant)
    return float(np.count_nonzero(flags[: _positive(k)]) / k)


def recall_at(relevant: npt.ArrayLike, k: int, *, total: int | None = None) -> float:
    """Share of all relevant images that is among the first k."""
    flags, total = _checked(relevant, total)
    return float(np.count_nonzero(flags[: _positive(k)]) / total)


def precision_at_recall(
    relevant: npt.ArrayLike, *, total: int | None = None, points: int = 101
) -> npt.NDArray[np.float64]:
    """Interpolated precision at evenly spaced recalls from 0 to 1: (points,).

    The highest precision at any rank whose recall is at least that (Manning, Raghavan, Schütze
    2008, section 8.4); 0 for recalls that a short ranking does not reach.
    """
    flags, total = _checked(relevant, total)
    ranks = np.flatnonzero(flags) + 1
    so_far = np.arange(1, len(ranks) + 1)
    best_from_here = np.maximum.accumulate((so_far / ranks)[::-1])[::-1]
    # The j-th relevant image brings the recall to j / total; 1e-9 absorbs rounding.
    needed = np.ceil(np.linspace(0, 1, points) * total - 1e-9).astype(int)
    reached = np.append(best_from_here, 0.0)
    precision: npt.NDArray[np.float64] = reached[np.clip(needed - 1, 0, len(ranks))]
    return precision


def ndcg_at(gains: npt.ArrayLike, k: int, *, ideal: npt.ArrayLike | None = None) -> float:
    """Normalised discounted cumulative gain (nDCG) of the first k.

    nDCG is DCG over that of the best possible ranking, DCG = Σ_i g_i / log2(i + 1) (Järvelin &
    Kekäläinen 2002). `gains` is (n,) in ranked order: relevance as bool, or graded, not negative.
    `ideal` holds the gains of all images that could be found, in any order; by default these are
    `gains`.
    """
    ranked = _gains(gains)
    best = ranked if ideal is None else _gains(ideal)
    perfect = _dcg(np.sort(best)[::-1], _positive(k))
    if perfect == 0:
        raise ValueError("no image has a gain above zero; leave such a query out")
    return float(_dcg(ranked, k) / perfect)


def reciprocal_rank(relevant: npt.ArrayLike) -> float:
    """1 / rank of the first relevant image; 0 if none is found."""
    flags = _flags(relevant)
    return 1 / (int(flags.argmax()) + 1) if flags.any() else 0.0


def bootstrap_interval(
    values: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap confidence interval of the mean over queries: (low, high).

    Percentile bootstrap (Efron & Tibshirani 1993): `resamples` times, Q queries are drawn with
    replacement from `values` (Q,); the interval holds the middle `confidence` of their means. The
    same seed gives the same interval. Raises ValueError without any value.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError(f"values of shape {sample.shape}; give one per query, at least one")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence {confidence} and {resamples} resamples make no interval")
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    block = max(1, DRAWS_AT_ONCE // len(sample))
    for start in range(0, resamples, block):
        size = min(block, resamples - start), len(sample)
        drawn = rng.integers(len(sample), size=size)
        means[start : start + block] = sample[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _flags(relevant: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    flags = np.asarray(relevant, dtype=np.bool_)
    if flags.ndim != 1:
        raise ValueError(f"relevance of shape {flags.shape}, not (n,)")
    return flags


def _checked(relevant: npt.ArrayLike, total: int | None) -> tuple[npt.NDArray[np.bool_], int]:
    """The relevance as flags, and the total number of relevant images."""
    flags = _flags(relevant)
    ranked = int(np.count_nonzero(flags))
    total = ranked if total is None else total
    if total < max(1, ranked):
        why = "leave such a query out" if total == ranked else f"but {ranked} are ranked"
        raise ValueError(f"{total} images are relevant; {why}")
    return flags, total


def _gains(gains: npt.ArrayLike) -> npt.NDArray[np.float64]:
    checked = np.asarray(gains, dtype=np.float64)
    if checked.ndim != 1 or (checked < 0).any():
        raise ValueError("gains are not (n,), or some are negative")
    return checked


def _dcg(gains: npt.NDArray[np.float64], k: int) -> float:
    first = gains[:k]
    return float((first / np.log2(np.arange(2, len(first) + 2))).sum())


def _positive(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}; evaluate at least one image")
    return k
