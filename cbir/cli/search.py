"""`cbir search`: the images of a gallery that look like a given one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cbir.cli.options import (
    DEFAULT_GALLERY,
    DeviceOption,
    GalleryOption,
    JsonOption,
    PrecisionOption,
    RuntimeOption,
)

if TYPE_CHECKING:
    from cbir.retrieval import Query
    from cbir.types import Hit, SearchResult

VERIFIED_BY = ("sift", "orb")
"""Rerankers that count keypoints."""


def register(app: typer.Typer) -> None:
    app.command()(search)


def search(
    image: Annotated[
        str,
        typer.Argument(help="A file, - for standard input, or id:N for an image of the gallery."),
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many images to find.")] = 10,
    gallery: GalleryOption = DEFAULT_GALLERY,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with every image, whatever the index.")
    ] = False,
    rerank: Annotated[
        Optional[str],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option(
            help="Order the first candidates anew: sift, orb, ssim, aqe or kreciprocal.",
            metavar="METHOD",
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, help="How many candidates --rerank judges.", metavar="N")
    ] = 50,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write a contact sheet, too.", metavar="FILE"),
    ] = None,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    json: JsonOption = False,
) -> None:
    """Find the images that look most like IMAGE."""
    from cbir.gallery import Gallery
    from cbir.retrieval import Retriever

    query = _query(image)
    with Gallery.open(gallery) as opened:
        reranker = None
        if rerank is not None:
            from cbir.reranking import open_reranker

            reranker = open_reranker(rerank, opened, depth=depth)
        embedder = opened.embedder(device=device, runtime=runtime, precision=precision)
        retriever = Retriever(opened, embedder=embedder)
        retriever.warm_up(network=not isinstance(query, int))
        result = retriever.search(query, k=k, exact=exact, rerank=reranker)
        if html is not None:
            _write_sheet(html, result, retriever.query_image(query))
        if json:
            from cbir.cli.console import print_json

            print_json(_as_json(result))
        else:
            _print_table(result, opened.count(), rerank)
    if html is not None and not json:
        typer.echo(f"contact sheet: {html}")


def _query(image: str) -> Query:
    from cbir.errors import CbirError

    if image == "-":
        return sys.stdin.buffer.read()
    if image.startswith("id:"):
        try:
            return int(image[3:])
        except ValueError:
            raise CbirError(f"{image!r} is no image id; give id: and a number, as id:12") from None
    return Path(image)


def _as_json(result: SearchResult) -> dict[str, Any]:
    return {
        "query": result.query,
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.image.id,
                "uri": hit.image.uri,
                "similarity": round(hit.similarity, 6),
                "metadata": dict(hit.image.metadata),
                **_rerank_as_json(hit),
            }
            for hit in result.hits
        ],
        "timings_ms": {stage: round(ms, 3) for stage, ms in result.timings_ms.items()},
    }


def _rerank_as_json(hit: Hit) -> dict[str, Any]:
    """What a reranker said about a hit; nothing where none was asked."""
    if (own := hit.rerank) is None:
        return {}
    said = {"method": own.method, "score": round(own.score, 6), "inliers": own.inliers}
    return {"rerank": said | ({"note": own.note} if own.note else {})}


def _print_table(result: SearchResult, count: int, rerank: str | None) -> None:
    from cbir.cli.console import out, print_columns, printable, similarity_bar

    verified = rerank in VERIFIED_BY
    if result.hits:
        evidence = [] if rerank is None else ["inliers" if verified else "score"]
        print_columns(
            ("#", "similarity", "", *evidence, "id", "image"),
            [
                (
                    str(hit.rank),
                    f"{hit.similarity:.3f}",
                    similarity_bar(hit.similarity),
                    *(_evidence(hit, verified=verified) for _ in evidence),
                    str(hit.image.id),
                    printable(hit.image.name),
                )
                for hit in result.hits
            ],
            align=">><" + ">" * len(evidence) + "><",
        )
    else:
        out().print("nothing found: the gallery has no other image")
    for hit in result.hits:
        if hit.rerank is not None and hit.rerank.note:
            note = printable(f"{hit.image.name} is where it was: {hit.rerank.note}")
            out().print(note, style="dim")
    ms = result.timings_ms
    line = f"embedded {ms['embed']:.0f} ms · searched {count:,} in {ms['search']:.1f} ms"
    if rerank is not None:
        what = "verified" if verified else "reranked"
        line += f" · {what} {result.reranked} in {ms['rerank']:.0f} ms"
    out().print(line, style="dim")


def _evidence(hit: Hit, *, verified: bool) -> str:
    """The cell of a hit that says what its reranker found; a dash where that is nothing."""
    if hit.rerank is None or hit.rerank.note:
        return "–"
    return str(hit.rerank.inliers or "–") if verified else f"{hit.rerank.score:.3f}"


def _write_sheet(path: Path, result: SearchResult, query_image: bytes | None) -> None:
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet

    title = f"{result.query}: the {len(result.hits)} most similar images"
    write_contact_sheet(path, [Sheet(result, query_image)], title=title)
