"""The report of an evaluation as HTML: metrics, three plots, and the worst queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np

from cbir.errors import CbirError
from cbir.evaluation import Evaluation, QueryResult, Search
from cbir.pages import plots
from cbir.pages.contact_sheet import Sheet, section_of, write_page
from cbir.retrieval import Retriever

__all__ = ["write_evaluation_report"]

HITS_SHOWN = 10
WORST_SHOWN = 12


def write_evaluation_report(
    folder: str | Path,
    evaluation: Evaluation,
    retriever: Retriever,
    *,
    title: str = "cbir evaluation",
    search: Search | None = None,
) -> None:
    """Write a self-contained `index.html`, and `queries.csv`, to a folder.

    `search` is the search that was evaluated, if it is not the retriever's own. Raises CbirError
    when the folder cannot be written, MissingExtraError without matplotlib.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CbirError(f"{folder} cannot be created: {error.strerror}") from error
    evaluation.write_csv(folder / "queries.csv")
    search = search or (lambda query, k: retriever.search(query, k=k))
    worst = evaluation.worst(WORST_SHOWN)
    body = [
        _section("", _numbers(evaluation)),
        f'<section class="plots">{"".join(_plots(evaluation))}</section>',
        _section(
            f"The {len(worst)} queries of lowest average precision; relevant hits are framed",
            ""
            if worst[0].values["AP"] < 1
            else '<p class="quiet">All queries have an average precision of 1.</p>',
        ),
        *(section_of(_sheet(result, retriever, search)) for result in worst),
    ]
    write_page(folder / "index.html", title=title, body="\n".join(body))


def _section(heading: str, content: str) -> str:
    return f"<section>{f'<h2>{escape(heading)}</h2>' if heading else ''}{content}</section>"


def _numbers(evaluation: Evaluation) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{metric.value:.3f}</td>"
        f"<td>{metric.low:.3f} – {metric.high:.3f}</td></tr>"
        for name, metric in evaluation.metrics.items()
    )
    return (
        '<table class="numbers"><tr><th>metric</th><th>value</th><th>95 % interval</th></tr>\n'
        f'{rows}</table><p class="quiet">{escape(" · ".join(_counts(evaluation)))}</p>'
    )


def _counts(evaluation: Evaluation) -> Iterable[str]:
    yield f"{len(evaluation.queries):,} queries"
    if evaluation.left_out:
        yield f"{evaluation.left_out:,} left out: no relevant images"
    yield f"{evaluation.images:,} images"
    if evaluation.depth is not None:
        yield f"evaluated to a depth of {evaluation.depth:,}"
    if (latency := evaluation.latency) is not None:
        yield (
            f"a search takes {latency.p50_ms:.0f} ms (median), {latency.p90_ms:.0f} (p90), "
            f"{latency.p99_ms:.0f} (p99)"
        )


def _plots(evaluation: Evaluation) -> Iterable[str]:
    half = evaluation.curve[len(evaluation.curve) // 2]
    message = f"At a recall of 50 %, precision is {100 * half:.0f} %"
    yield _plot(message, plots.to_svg(plots.precision_recall(evaluation.curve), alt=message))

    pairs = evaluation.similarities
    message = (
        f"Relevant pairs have a median similarity of {_median(pairs.relevant):.2f}, "
        f"others of {_median(pairs.irrelevant):.2f}"
    )
    yield _plot(message, plots.to_svg(plots.similarity_histogram(pairs), alt=message))

    labels = evaluation.by_label()
    if len(labels) > 1:
        shown = min(len(labels), plots.BARS_SHOWN)
        message = f"Weakest is {labels[0].label}, strongest {labels[-1].label}"
        if shown < len(labels):
            message = f"The {shown} weakest of {len(labels)} labels"
        yield _plot(message, plots.to_svg(plots.label_bars(labels), alt=message))


def _plot(message: str, svg: str) -> str:
    return f"<figure><h2>{escape(message)}</h2>{svg}</figure>"


def _median(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    """The median of a histogram over [-1, 1], exact to the width of a bin."""
    below = np.cumsum(counts)
    middle = int(np.searchsorted(below, below[-1] / 2))
    return (middle + 0.5) / len(counts) * 2 - 1


def _sheet(result: QueryResult, retriever: Retriever, search: Search) -> Sheet:
    judged = result.query
    query = judged.as_query()
    response = search(query, HITS_SHOWN + len(judged.junk))
    junk = set(judged.junk.tolist())
    hits = [hit for hit in response.hits if hit.image.id not in junk][:HITS_SHOWN]
    first = f"first at rank {1 / result.values['RR']:.0f}" if result.values["RR"] else "none found"
    label = f"{judged.label} · " if judged.label else ""
    return Sheet(
        replace(response, query=judged.name, hits=tuple(hits)),
        retriever.query_image(query),
        note=f"{label}AP {result.values['AP']:.3f} · {judged.total} relevant, {first}",
        relevant=frozenset(judged.relevant.tolist()),
    )
