"""Measures the latency of single searches, from the image file to the hits."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from cbir.errors import BackboneError, ImageError
from cbir.evaluation.ground_truth import JudgedQuery
from cbir.evaluation.ranking import Search
from cbir.evaluation.result import Latency
from cbir.gallery import Gallery
from cbir.retrieval import IdQuery, Query, as_query
from cbir.sources.paths import uri_to_path

__all__ = ["summary", "time_searches"]

log = logging.getLogger(__name__)

BUDGET_S = 5.0
"""Time budget: no further search begins after it, since slow searches need fewer samples."""


def time_searches(
    search: Search, gallery: Gallery, queries: Sequence[JudgedQuery], *, count: int, k: int
) -> dict[int, float]:
    """Time one search each for up to `count` random queries: seconds by position.

    A query is searched with its image file, even if its embedding is stored; by its id if the file
    can no longer be read. Empty where the backbone cannot be opened.
    """
    if count < 1:
        return {}
    positions = np.random.default_rng(0).permutation(len(queries))[:count]
    seconds: dict[int, float] = {}
    try:
        _seconds(search, gallery, queries[0], k)  # the first search opens the network
        end = time.monotonic() + BUDGET_S
        for position in positions.tolist():
            if time.monotonic() > end:
                break
            seconds[position] = _seconds(search, gallery, queries[position], k)
    except BackboneError as error:
        log.warning("searches are not timed: %s", error)
        return {}
    return seconds


def summary(seconds: dict[int, float], k: int) -> Latency | None:
    """Percentiles in milliseconds; None when nothing was timed."""
    if not seconds:
        return None
    p50, p90, p99 = np.percentile(list(seconds.values()), [50, 90, 99]) * 1000
    return Latency(float(p50), float(p90), float(p99), len(seconds), k)


def _seconds(search: Search, gallery: Gallery, judged: JudgedQuery, k: int) -> float:
    photo: Query = judged.as_query()
    if isinstance(photo, IdQuery):
        photo = as_query(uri_to_path(gallery.image(photo.id).uri))
    started = time.perf_counter()
    try:
        search(photo, k)
    except ImageError:
        started = time.perf_counter()
        search(judged.as_query(), k)
    return time.perf_counter() - started
