"""`cbir evaluate`: measures retrieval in a gallery against ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from cbir.cli.options import (
    DEFAULT_GALLERY,
    DeviceOption,
    GalleryOption,
    JsonOption,
    PrecisionOption,
    RerankOption,
    RuntimeOption,
    UsageError,
)

if TYPE_CHECKING:
    from cbir.evaluation import Evaluation, GroundTruth, Search
    from cbir.gallery import Gallery
    from cbir.retrieval import Retriever


def register(app: typer.Typer) -> None:
    app.command()(evaluate)


def evaluate(
    gallery: GalleryOption = DEFAULT_GALLERY,
    label: Annotated[
        Optional[str],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option(
            help="Column of metadata: images of one value are relevant to each other.",
            metavar="NAME",
        ),
    ] = None,
    queries: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Use only these images as queries, as split=test.", metavar="COLUMN=VALUE"
        ),
    ] = None,
    ground_truth: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="JSON or CSV of queries and their relevant images, or .pkl.", metavar="FILE"
        ),
    ] = None,
    protocol: Annotated[
        Optional[Literal["easy", "medium", "hard"]],  # noqa: UP045
        typer.Option(
            help="Protocol of Revisited Oxford and Paris, for ground truth in that format."
        ),
    ] = None,
    k: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option(
            "-k",
            min=1,
            help="Cut-off of P@k, R@k and nDCG@k; may be repeated.  [1, 5, 10, 20]",
            metavar="N",
        ),
    ] = None,
    depth: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1,
            help="Evaluate the index's first N hits; by default all images, exactly. "
            "With --rerank: rerank the first N  [50] and evaluate all images.",
            metavar="N",
        ),
    ] = None,
    rerank: RerankOption = None,
    by_label: Annotated[
        bool, typer.Option("--by-label", help="Also print the mAP of every label.")
    ] = False,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write a page with plots and the worst queries.", metavar="DIR"),
    ] = None,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    json: JsonOption = False,
) -> None:
    """Measure retrieval: mAP, P@k, R@k, nDCG@k with 95 % intervals, and the time of a search.

    The relevant images come from a column of metadata (--label: each image is a query for the
    others of its value) or from a file (--ground-truth). Queries without any are left out.
    """
    from cbir.cli.console import print_json, progress_line
    from cbir.evaluation import evaluate as run
    from cbir.gallery import Gallery
    from cbir.retrieval import Retriever

    with ExitStack() as stack:
        opened = stack.enter_context(Gallery.open(gallery))
        truth = _ground_truth(opened, label, queries or [], ground_truth, protocol)
        embedder = opened.embedder(device=device, runtime=runtime, precision=precision)
        retriever = stack.enter_context(Retriever(opened, embedder=embedder))
        search = None
        if rerank is not None:
            search = stack.enter_context(_reranked(retriever, rerank, depth))
        cutoff = depth if search is None else None
        with progress_line("evaluating", len(truth.queries)) as progress:
            evaluation = run(
                retriever,
                truth,
                ks=k or (1, 5, 10, 20),
                depth=cutoff,
                exact=cutoff is None,
                search=search,
                progress=progress,
            )
        if report is not None:
            from cbir.pages.evaluation_report import write_evaluation_report

            title = f"{opened.path}, by {ground_truth or label}"
            title += "" if rerank is None else f", reranked by {rerank}"
            write_evaluation_report(report, evaluation, retriever, title=title, search=search)
    if json:
        print_json(evaluation.to_json())
        return
    _print_table(evaluation)
    if by_label:
        _print_labels(evaluation)
    if report is not None:
        typer.echo(f"report: {report / 'index.html'}")


@contextmanager
def _reranked(retriever: Retriever, method: str, depth: int | None) -> Iterator[Search]:
    """A search whose first candidates are reranked; the others follow in their original order."""
    from cbir.evaluation.reranked import reranked_search
    from cbir.reranking import DEFAULT_DEPTH, open_reranker

    opened = open_reranker(method, retriever.gallery, depth=depth or DEFAULT_DEPTH)
    with closing(opened) as reranker:
        yield reranked_search(retriever, reranker)


def _ground_truth(
    gallery: Gallery,
    label: str | None,
    queries: list[str],
    file: Path | None,
    protocol: Literal["easy", "medium", "hard"] | None,
) -> GroundTruth:
    from cbir.evaluation import from_file, from_labels, from_revisited

    if (label is None) == (file is None):
        raise UsageError(
            "give either --label NAME or --ground-truth FILE to say which images are relevant"
        )
    if file is None:
        assert label is not None
        if protocol is not None:
            raise UsageError("--protocol is for --ground-truth in the Revisited format")
        return from_labels(gallery, label, queries=dict(_restriction(text) for text in queries))
    if queries:
        raise UsageError("--queries is for --label; a ground-truth file names its own")
    if protocol is not None or file.suffix.lower() == ".pkl":
        return from_revisited(gallery, file, protocol=protocol or "medium")
    return from_file(gallery, file)


def _restriction(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not column or not equals:
        raise UsageError(f"--queries {text!r} is not COLUMN=VALUE; write it as split=test")
    return column, value


def _print_table(evaluation: Evaluation) -> None:
    from cbir.cli.console import out, print_columns

    print_columns(
        ("metric", "value", "95 % interval"),
        [
            (name.replace("_", " "), f"{m.value:.3f}", f"{m.low:.3f} – {m.high:.3f}")
            for name, m in evaluation.metrics.items()
        ],
        align="<>>",
    )
    out().print(" · ".join(_counts(evaluation)), style="dim")


def _counts(evaluation: Evaluation) -> list[str]:
    counts = [f"{len(evaluation.queries):,} queries"]
    if evaluation.left_out:
        counts.append(f"{evaluation.left_out:,} left out (no relevant images)")
    counts.append(f"ranked {evaluation.images:,} images in {evaluation.seconds:.1f} s")
    if (latency := evaluation.latency) is not None:
        counts.append(
            f"a search takes {latency.p50_ms:.0f} ms, p90 {latency.p90_ms:.0f}, "
            f"p99 {latency.p99_ms:.0f}"
        )
    return counts


def _print_labels(evaluation: Evaluation) -> None:
    from cbir.cli.console import print_columns, printable, similarity_bar

    print_columns(
        ("mAP", "", "queries", "label"),
        [
            (
                f"{label.mean_ap:.3f}",
                similarity_bar(label.mean_ap),
                f"{label.queries:,}",
                printable(label.label),
            )
            for label in evaluation.by_label()
        ],
        align="><><",
    )
