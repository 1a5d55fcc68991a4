"""Results of an evaluation: values per query, their means, and search latency."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.errors import CbirError
from cbir.evaluation.ground_truth import JudgedQuery

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Evaluation", "Interval", "LabelResult", "Latency", "QueryResult", "Similarities"]


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of a metric over all queries, and the 95 % interval of a bootstrap over them."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of a single search, including reading and embedding the image."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    queries: int
    """Number of timed searches."""
    k: int
    """Number of images that each search finds."""


@dataclass(frozen=True, slots=True, eq=False)
class QueryResult:
    """Metrics of one query."""

    query: JudgedQuery
    values: Mapping[str, float]
    """By metric: `AP`, `AP_trapezoidal`, `RR`, and `P@k`, `R@k`, `nDCG@k` for each k."""
    seconds: float | None = None
    """Seconds of its search; None if it was not timed."""


@dataclass(frozen=True, slots=True)
class LabelResult:
    """The queries of one group."""

    label: str
    queries: int
    mean_ap: float


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """Counts of the similarities of (query, image) pairs, in equal bins from -1 to 1."""

    relevant: npt.NDArray[np.int64]
    irrelevant: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Metrics of a gallery over all queries of a ground truth."""

    metrics: Mapping[str, Interval]
    """By metric: `mAP`, `mAP_trapezoidal`, `MRR`, and `P@k`, `R@k`, `nDCG@k` for each k."""
    queries: tuple[QueryResult, ...]
    left_out: int
    """Number of queries without a relevant image."""
    images: int
    """Number of images of the gallery."""
    depth: int | None
    """Length of each evaluated ranking; None for the whole gallery."""
    curve: npt.NDArray[np.float64]
    """(101,) interpolated precision at the recalls 0, 0.01 to 1, its mean over the queries."""
    similarities: Similarities
    latency: Latency | None
    seconds: float
    """Seconds of ranking and computing metrics, without the timed searches."""

    def by_label(self) -> tuple[LabelResult, ...]:
        """The mean AP of each group of queries, the weakest first; empty without groups."""
        groups: defaultdict[str, list[float]] = defaultdict(list)
        for result in self.queries:
            if result.query.label is not None:
                groups[result.query.label].append(result.values["AP"])
        labels = [LabelResult(key, len(v), sum(v) / len(v)) for key, v in groups.items()]
        return tuple(sorted(labels, key=lambda label: (label.mean_ap, label.label)))

    def worst(self, count: int) -> tuple[QueryResult, ...]:
        """The queries of lowest AP, the worst first."""
        return tuple(sorted(self.queries, key=lambda result: result.values["AP"])[:count])

    def to_json(self) -> dict[str, Any]:
        """The result as JSON, without single queries."""
        return {
            "metrics": {name: asdict(interval) for name, interval in self.metrics.items()},
            "queries": len(self.queries),
            "left_out": self.left_out,
            "images": self.images,
            "depth": self.depth,
            "latency": None if self.latency is None else asdict(self.latency),
            "seconds": self.seconds,
            "labels": [asdict(label) for label in self.by_label()],
        }

    def write_csv(self, path: str | Path) -> None:
        """Write one row per query with all its values. Raises CbirError when it cannot be
        written."""
        values = list(self.queries[0].values)
        try:
            with Path(path).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["query", "label", "relevant", *values, "seconds"])
                for result in self.queries:
                    query = result.query
                    numbers = [f"{result.values[name]:.6f}" for name in values]
                    seconds = "" if result.seconds is None else f"{result.seconds:.6f}"
                    row = [query.name, query.label or "", query.total, *numbers, seconds]
                    writer.writerow(row)
        except OSError as error:
            raise CbirError(f"{path} cannot be written: {error.strerror}") from error
