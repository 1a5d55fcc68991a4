"""Plots of benchmark results, with the same colour for a method everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COLOURS = {
    "flat": "#8a8f98",
    "pq": "#2f6fde",
    "hnsw": "#7fb0f5",
    "hnswlib": "#d9822b",
    "usearch": "#3d9970",
}
NAMES = {"flat": "cbir, flat", "pq": "cbir, pq", "hnsw": "cbir, hnsw"}
QUIET, LINE = "#5f6672", "#d5d8dd"


def search_plot(results: dict[str, Any], count: int, path: Path) -> None:
    """Recall against the time of a query, and against memory."""
    with _figure(9.0, 3.8, 2, path) as (figure, (left, right)):
        for kind, found in results.items():
            colour, name = COLOURS[kind], NAMES.get(kind, kind)
            points = sorted(found.get("curve") or [(found["recall"], found["p50"])])
            recalls, times = zip(*points, strict=True)
            left.plot(times, recalls, "-o", color=colour, label=name, markersize=3.5)
            right.barh(name, found["memory"], color=colour, height=0.6)
            right.bar_label(
                right.containers[-1], [f"recall {found['recall']:.4f}"], padding=4, color=QUIET
            )
        left.set(xscale="log", xlabel="one query, median (ms)", ylabel="recall@10")
        right.set(
            xlabel="resident memory (MB)",
            xlim=(0, 1.4 * max(found["memory"] for found in results.values())),
        )
        right.invert_yaxis()
        right.grid(visible=False, axis="y")
        left.legend(loc="lower right", frameon=False, labelcolor="linecolor")
        figure.suptitle(f"{count:,} embeddings of 1280 dimensions", fontsize=11, color=QUIET)


def growth_plot(found: dict[str, Any], path: Path) -> None:
    """Seconds and memory of indexing, milliseconds and memory of a search, by images."""
    panels = (
        ("index_seconds", "indexing (s)", 2.0),
        ("index_mb", "indexing, peak memory (MB)", None),
        ("search_ms", "one query (ms)", None),
        ("search_mb", "search, resident memory (MB)", None),
    )
    with _figure(9.0, 5.6, (2, 2), path) as (_, grid):
        for axes, (key, label, _) in zip(grid.flat, panels, strict=True):
            points = sorted((int(count), value) for count, value in found[key].items())
            counts, values = zip(*points, strict=True)
            axes.plot(counts, values, "-o", color=COLOURS["pq"], linewidth=1.5, markersize=4)
            axes.annotate(f"{values[-1]:,.3g}", (counts[-1], values[-1]), (0, 6), ha="center",
                          textcoords="offset points", color=QUIET)  # fmt: skip
            if key.endswith(("seconds", "ms")):
                first = [values[0] * count / counts[0] for count in counts]
                axes.plot(counts, first, ":", color=QUIET, linewidth=1)
                axes.annotate("linear", (counts[-1], first[-1]), (-4, -2), ha="right", va="top",
                              textcoords="offset points", color=QUIET)  # fmt: skip
                axes.set(yscale="log")
            else:
                axes.set(ylim=(0, 1.3 * max(values)))
            axes.set(xscale="log", xlabel="images", title=label)


@contextmanager
def _figure(width: float, height: float, panels: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Panels in the page's style; written when done."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "text.color": "#1c1f24",
        "axes.labelcolor": QUIET,
        "axes.titlesize": 10,
        "axes.edgecolor": LINE,
        "xtick.color": QUIET,
        "ytick.color": QUIET,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "lines.linewidth": 1.5,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        rows, columns = panels if isinstance(panels, tuple) else (1, panels)
        yield figure, figure.subplots(rows, columns)
        figure.savefig(path, dpi=110)
