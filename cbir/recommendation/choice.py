"""From a pool of similar images to the ones recommended: scores and diversity, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.catalog.metadata.columns import Cell
from cbir.errors import FilterError

__all__ = ["bonuses", "first_of_each", "mmr"]

Positions = npt.NDArray[np.intp]


def mmr(scores: Vectors, alike: Vectors, k: int, diversity: float) -> Positions:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), for B pools of P at once.

    Scores (B, P), -inf where there is nothing, and similarities (B, P, P) within each pool →
    positions (B, min(k, P)) in the order chosen. Positions of -inf come last.
    """
    pools, size = scores.shape
    chosen = np.empty((pools, min(k, size)), dtype=np.intp)
    rows = np.arange(pools)
    relevance = (1 - diversity) * scores if diversity < 1 else np.where(scores > -np.inf, 0, scores)
    relevance = np.array(relevance, dtype=np.float32)
    # Of the first one only relevance can decide, also where nothing else counts.
    marginal = np.array(scores, dtype=np.float32)
    nearest = np.full(scores.shape, -np.inf, dtype=np.float32)
    taken = np.zeros(scores.shape, dtype=bool)
    for step in range(chosen.shape[1]):
        # Below every real value, above what was taken: empty places come last, each once.
        marginal = np.where(np.isneginf(marginal), np.float32(-1e9), marginal)
        best = np.argmax(np.where(taken, np.float32(-np.inf), marginal), axis=1)
        chosen[:, step] = best
        taken[rows, best] = True
        np.maximum(nearest, alike[rows, best], out=nearest)
        marginal = relevance - np.float32(diversity) * nearest
    return chosen


def first_of_each(codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which entries of each row are the first of their value: (B, M) → (B, M)."""
    order = np.argsort(codes, axis=1, kind="stable")
    sorted_codes = np.take_along_axis(codes, order, axis=1)
    first = np.ones(codes.shape, dtype=bool)
    first[:, 1:] = sorted_codes[:, 1:] != sorted_codes[:, :-1]
    result = np.empty_like(first)
    np.put_along_axis(result, order, first, axis=1)
    return result


def bonuses(ids: Ids, cells: Mapping[int, Cell], field: str, strength: float) -> Vectors:
    """β · r of images (N,), with r the share of all images of smaller weight; 0 without one.

    Raises FilterError for a value that is no number.
    """
    there = np.fromiter(cells, dtype=np.int64, count=len(cells))
    weights = np.fromiter(_numbers(cells, field), dtype=np.float64, count=len(cells))
    ordered = np.sort(weights)
    below, upto = (np.searchsorted(ordered, weights, side=side) for side in ("left", "right"))
    shares = dict(zip(there.tolist(), (below + upto) / 2 / max(1, len(weights)), strict=True))
    return np.array([strength * shares.get(i, 0.0) for i in ids.tolist()], dtype=np.float32)


def _numbers(cells: Mapping[int, Cell], field: str) -> Iterable[float]:
    for image_id, (_, number, text) in cells.items():
        try:
            value = float(text or "") if number is None else number
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise FilterError(
                f"{field!r} of image {image_id} is {text!r}, no number; "
                "a weight wants a field of numbers"
            )
        yield value
