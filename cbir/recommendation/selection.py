"""Selects recommendations from a pool of candidates: weight bonuses and diversity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from cbir.arrays import Ids, Vectors
from cbir.catalog.metadata.columns import Cell
from cbir.errors import FilterError

__all__ = ["is_first_of_value", "maximal_marginal_relevance", "weight_bonuses"]

Positions = npt.NDArray[np.intp]


def maximal_marginal_relevance(
    scores: Vectors, similarities: Vectors, k: int, diversity: float
) -> Positions:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), for B pools of P at once.

    Scores (B, P), -inf for no candidate, and similarities (B, P, P) within each pool → positions
    (B, min(k, P)) in the order chosen. Positions of -inf come last.
    """
    pools, size = scores.shape
    chosen = np.empty((pools, min(k, size)), dtype=np.intp)
    rows = np.arange(pools)
    relevance = (1 - diversity) * scores if diversity < 1 else np.where(scores > -np.inf, 0, scores)
    relevance = np.array(relevance, dtype=np.float32)
    # The first is chosen by relevance alone, even at a diversity of 1.
    marginal = np.array(scores, dtype=np.float32)
    nearest = np.full(scores.shape, -np.inf, dtype=np.float32)
    taken = np.zeros(scores.shape, dtype=bool)
    for step in range(chosen.shape[1]):
        # Below every real value and above what was taken: empty positions come last, each once.
        marginal = np.where(np.isneginf(marginal), np.float32(-1e9), marginal)
        best = np.argmax(np.where(taken, np.float32(-np.inf), marginal), axis=1)
        chosen[:, step] = best
        taken[rows, best] = True
        np.maximum(nearest, similarities[rows, best], out=nearest)
        marginal = relevance - np.float32(diversity) * nearest
    return chosen


def is_first_of_value(codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Whether each entry is the first of its value in its row: (B, M) → (B, M)."""
    order = np.argsort(codes, axis=1, kind="stable")
    sorted_codes = np.take_along_axis(codes, order, axis=1)
    first = np.ones(codes.shape, dtype=bool)
    first[:, 1:] = sorted_codes[:, 1:] != sorted_codes[:, :-1]
    result = np.empty_like(first)
    np.put_along_axis(result, order, first, axis=1)
    return result


def weight_bonuses(ids: Ids, cells: Mapping[int, Cell], field: str, strength: float) -> Vectors:
    """The bonus β · r of each image (N,), where r is the share of images with a smaller weight.

    Images without a weight have none. Raises FilterError for a value that is not a number.
    """
    weighted = np.fromiter(cells, dtype=np.int64, count=len(cells))
    weights = np.fromiter(_numbers(cells, field), dtype=np.float64, count=len(cells))
    ordered = np.sort(weights)
    below, upto = (np.searchsorted(ordered, weights, side=side) for side in ("left", "right"))
    shares = dict(zip(weighted.tolist(), (below + upto) / 2 / max(1, len(weights)), strict=True))
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
                "name a field of numbers as the weight"
            )
        yield value
