"""Plots of an evaluation as SVG, which takes its colours and font from the page around it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from cbir.errors import MissingExtraError
from cbir.evaluation import LabelResult
from cbir.evaluation.result import Similarities

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["label_bars", "precision_recall", "similarity_histogram", "to_svg"]

# Placeholder colours, which are replaced in the SVG by variables of the style sheet: so a plot fits
# light and dark pages.
TEXT, QUIET, LINE, ACCENT = "#000001", "#000002", "#000003", "#000004"
_VARIABLES = {TEXT: "--text", QUIET: "--quiet", LINE: "--line", ACCENT: "--accent"}

BARS_SHOWN = 24
"""Most labels shown; of more, only the weakest."""

PAIRS_PER_BIN = 10
"""Fewest pairs per bin on average: with fewer, a histogram shows noise."""


def precision_recall(curve: npt.NDArray[np.float64]) -> Figure:
    """Plot the precision-recall curve, (101,): precision at recalls from 0 to 1, the mean of all
    queries."""
    with _axes(5.6, 3.8) as (figure, axes):
        recall = np.linspace(0, 1, len(curve))
        axes.plot(recall, curve, color=ACCENT, linewidth=2, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision (interpolated)")
        middle = len(curve) // 2
        axes.plot(recall[middle], curve[middle], "o", color=ACCENT)
        # Above the curve where there is room, or else below.
        high = curve[middle] > 0.85
        axes.annotate(
            f"{curve[middle]:.2f}",
            (recall[middle], curve[middle]),
            (0, -10 if high else 10),
            textcoords="offset points",
            ha="center",
            va="top" if high else "bottom",
            color=TEXT,
        )
    return figure


def label_bars(labels: Sequence[LabelResult]) -> Figure:
    """Bar chart of the mean AP of each label, weakest first."""
    shown = list(labels[:BARS_SHOWN])
    with _axes(5.6, 0.6 + 0.24 * len(shown)) as (figure, axes):
        places = np.arange(len(shown))
        axes.barh(places, [label.mean_ap for label in shown], height=0.62, color=ACCENT)
        for place, label in enumerate(shown):
            axes.text(label.mean_ap + 0.01, place, f"{label.mean_ap:.2f}", va="center", color=TEXT)
        names = [_short(label.label) for label in shown]
        axes.set_yticks(places, names)
        axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6), xlabel="mean average precision")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False)
    return figure


def similarity_histogram(similarities: Similarities) -> Figure:
    """Histograms of the similarity of relevant and of irrelevant pairs, each scaled to 1."""
    relevant, others = _without_spikes(similarities.relevant, similarities.irrelevant)
    kinds = (
        ("other pairs", others, QUIET, "right"),
        ("relevant pairs", relevant, ACCENT, "left"),
    )
    with _axes(5.6, 3.8) as (figure, axes):
        edges = np.linspace(-1, 1, len(relevant) + 1)
        centres = (edges[1:] + edges[:-1]) / 2
        heights = [counts / max(1, counts.sum()) * 100 for _, counts, _, _ in kinds]
        for (name, _, colour, side), height in zip(kinds, heights, strict=True):
            axes.fill_between(centres, height, color=colour, alpha=0.25, linewidth=0)
            axes.plot(centres, height, color=colour, linewidth=1.5)
            peak = int(height.argmax())
            axes.annotate(
                name,
                (centres[peak], height[peak]),
                (8 if side == "left" else -8, 2),
                textcoords="offset points",
                ha=side,
                color=colour,
            )
        inside = np.flatnonzero(sum(heights) > 0)
        lowest, highest = edges[inside[0]], edges[inside[-1] + 1]
        axes.set(xlim=(lowest, highest), xlabel="cosine similarity", ylabel="pairs (%)")
        axes.set_ylim(0, 1.12 * max(height.max() for height in heights))
    return figure


def _without_spikes(*kinds: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
    """Counts in bins twice as wide, up to eight times, until the filled ones hold ten pairs."""
    while len(kinds[0]) % 2 == 0 and any(
        counts.sum() < PAIRS_PER_BIN * np.count_nonzero(counts) for counts in kinds
    ):
        kinds = tuple(counts.reshape(-1, 2).sum(axis=1) for counts in kinds)
    return kinds


def to_svg(figure: Figure, *, alt: str) -> str:
    """Convert a figure to an `svg` element for a page, with text as text."""
    import matplotlib as mpl

    drawn = StringIO()
    as_text: Any = {"svg.fonttype": "none", "svg.hashsalt": "cbir"}
    with mpl.rc_context(as_text), warnings.catch_warnings():
        # The page's font shows what matplotlib's lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    svg = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 system-ui", svg)  # older matplotlib
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)


@contextmanager
def _axes(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of this size in inches in the style of the page, laid out when done."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib, which is not installed; pip install 'cbir[report]'"
        ) from error
    style: Any = {
        "text.color": TEXT,
        "axes.labelcolor": QUIET,
        "axes.edgecolor": LINE,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": QUIET,
        "ytick.labelcolor": QUIET,
        "grid.color": LINE,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,  # a label is text, whatever dollars it has
        "font.size": 11,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
