"""`cbir search`: finds the images of a gallery that look like a query image."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

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
    from cbir.cli.preload import Preload
    from cbir.retrieval import Crop, Query, Retriever, SearchRequest
    from cbir.types import Hit, SearchResult

NOT_ECHOED = ("queries", "k", "exact", "rerank", "depth")
"""Parts of a request that its JSON result does not repeat."""


def register(app: typer.Typer) -> None:
    app.command()(search)


def search(
    images: Annotated[
        list[str],
        typer.Argument(
            help="A file, - for standard input, or id:N for an image of the gallery; several "
            "form one query.",
            metavar="IMAGE...",
        ),
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="Number of images to find.")] = 10,
    offset: Annotated[
        int, typer.Option(min=0, help="Skip the first N hits, to show further pages.", metavar="N")
    ] = 0,
    gallery: GalleryOption = DEFAULT_GALLERY,
    where: Annotated[
        Optional[list[str]],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option(
            help="Only images that match: 'category=shoes', 'price<50', 'tags has red', "
            "'size in 38,39', 'brand exists'. Repeat it: all must hold. 'cbir info' lists fields.",
            metavar="CONDITION",
        ),
    ] = None,
    unwanted: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--not", help="An image the hits should not resemble.", metavar="IMAGE"),
    ] = None,
    combine: Annotated[
        Literal["mean", "best"],
        typer.Option(help="Several images: search with their mean, or with each by itself."),
    ] = "mean",
    crop: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Search with a region of the image, in pixels or in fractions: 0,0,0.5,1.",
            metavar="X,Y,W,H",
        ),
    ] = None,
    multi_crop: Annotated[
        bool,
        typer.Option(
            "--multi-crop",
            help="Also search with regions of the query: finds images that share a part with it. "
            "The gallery must have regions.",
        ),
    ] = False,
    min_similarity: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=-1.0, max=1.0, help="Lowest similarity of a hit.", metavar="S"),
    ] = None,
    matches_only: Annotated[
        bool,
        typer.Option(
            "--matches-only",
            help="Only images more similar than unrelated ones are by chance.",
        ),
    ] = False,
    group_by: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Only the best image for each value of this metadata field.", metavar="FIELD"
        ),
    ] = None,
    max_per_group: Annotated[
        int,
        typer.Option(min=1, help="With --group-by: number of images for each value.", metavar="N"),
    ] = 1,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Compare with every image, even if the index is approximate."),
    ] = False,
    rerank: RerankOption = None,
    depth: Annotated[
        int, typer.Option(min=1, help="Number of candidates to rerank.", metavar="N")
    ] = 50,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Also write a contact sheet.", metavar="FILE"),
    ] = None,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    json: JsonOption = False,
) -> None:
    """Find the images that look most like IMAGE, or like several of them at once."""
    given = dict(locals())
    preload = _preload(given)

    from dataclasses import replace

    from cbir.gallery import Gallery
    from cbir.retrieval import EmbeddedQuery, Retriever

    request = _request(given)
    with ExitStack() as stack:
        opened = stack.enter_context(Gallery.open(gallery))
        opened.index()
        preloaded = None if preload is None else preload.result(opened.spec)
        if preloaded is None:
            embedder = opened.embedder(device=device, runtime=runtime, precision=precision)
        else:
            embedder = preloaded.embedder
            if preloaded.embedding is not None:
                (query,) = request.queries
                embedded = EmbeddedQuery(query, preloaded.embedding)  # type: ignore[arg-type]
                request = replace(request, queries=embedded)
        retriever = stack.enter_context(Retriever(opened, embedder=embedder))
        result = retriever.search(request)
        if preloaded is not None and preloaded.embedding is not None:
            result = _with_embedding_time(result, preloaded.embedding_ms)
        if html is not None:
            _write_sheet(html, result, retriever, request)
        if json:
            from cbir.cli.console import print_json

            print_json(_as_json(result, _echo(request, given)))
        else:
            _print_table(result, opened.count(request.where), request)
    if html is not None and not json:
        typer.echo(f"contact sheet: {html}")


def _preload(given: dict[str, Any]) -> Preload | None:
    """Start opening the network, and embedding a query that is one file; None if not needed."""
    images = given["images"] + (given["unwanted"] or [])
    if given["crop"] is None and all(image.startswith("id:") for image in images):
        return None
    from cbir.cli.preload import start_preload

    whole = len(given["images"]) == 1 and given["crop"] is None and not given["multi_crop"]
    return start_preload(
        given["gallery"],
        image=_file(given["images"][0]) if whole else None,
        device=given["device"],
        runtime=given["runtime"],
        precision=given["precision"],
    )


def _request(given: dict[str, Any]) -> SearchRequest:
    """The search request of the command-line options. Raises UsageError."""
    from cbir.retrieval import SEARCH_OPTIONS, SearchRequest

    images, unwanted = given["images"], given["unwanted"] or []
    if (images + unwanted).count("-") > 1:
        raise UsageError("standard input holds one image; name the others by file or id:N")
    options = {name: given[name] for name in SEARCH_OPTIONS}
    options["unwanted"] = [_query(image) for image in unwanted]
    options["where"] = given["where"] or ()
    options["crop"] = None if given["crop"] is None else _crop(given["crop"])
    try:
        return SearchRequest([_query(image) for image in images], **options)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _query(image: str) -> Query:
    from cbir.retrieval import IdQuery, ImageQuery, as_query

    if image == "-":
        return ImageQuery(sys.stdin.buffer.read())
    if image.startswith("id:"):
        try:
            return IdQuery(int(image[3:]))
        except ValueError:
            raise UsageError(f"{image!r} is no image id; give id: and a number, as id:12") from None
    return as_query(_file(image) or image)


def _file(image: str) -> Path | None:
    """The local file of an argument; None for an id, a URL or standard input."""
    from cbir.sources.paths import is_remote

    return None if image == "-" or image.startswith("id:") or is_remote(image) else Path(image)


def _crop(text: str) -> Crop:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--crop {text} is no region; give x,y,width,height, as 10,20,300,200"
        ) from None
    return x, y, width, height


def _with_embedding_time(result: SearchResult, ms: float) -> SearchResult:
    """The result, with the time of embedding its query added to the timings."""
    from dataclasses import replace

    timings = dict(result.timings_ms)
    return replace(
        result,
        timings_ms=timings | {stage: timings[stage] + ms for stage in ("embed", "total")},
    )


def _echo(request: SearchRequest, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a request that are not at their defaults, for its JSON result."""
    from dataclasses import fields

    several = len(request.queries) > 1
    echo: dict[str, Any] = {"images": given["images"]} if several else {}
    matters = {"combine": several, "max_per_group": request.group_by is not None}
    for option in fields(request):
        value = getattr(request, option.name)
        if option.name not in NOT_ECHOED and matters.get(option.name, value != option.default):
            as_given = option.name in ("unwanted", "where")
            name = "not" if option.name == "unwanted" else option.name
            echo[name] = given[option.name] if as_given else value
    return echo


def _as_json(result: SearchResult, echo: dict[str, Any]) -> dict[str, Any]:
    """A result, with the options of its request beside the query."""
    return {
        "query": result.query,
        **echo,
        "matched": result.matched,
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.image.id,
                "key": hit.image.key,
                "uri": hit.image.uri,
                "similarity": round(hit.similarity, 6),
                "confidence": _confidence_as_json(hit),
                "metadata": dict(hit.image.metadata),
                **({} if hit.region is None else {"region": hit.region}),
                **_rerank_as_json(hit),
            }
            for hit in result.hits
        ],
        "timings_ms": {stage: round(ms, 3) for stage, ms in result.timings_ms.items()},
    }


def _confidence_as_json(hit: Hit) -> dict[str, Any] | None:
    """The confidence of a hit, rounded to four digits."""
    if (confidence := hit.confidence) is None:
        return None
    chance = {"p_value": confidence.p_value, "expected_unrelated": confidence.expected}
    rounded = {name: float(f"{value:.4g}") for name, value in chance.items()}
    return rounded | {"word": confidence.word}


def _rerank_as_json(hit: Hit) -> dict[str, Any]:
    """The reranking score of a hit; empty if it was not reranked."""
    if (score := hit.rerank) is None:
        return {}
    shown = {"method": score.method, "score": round(score.score, 6), "inliers": score.inliers}
    return {"rerank": shown | ({"note": score.note} if score.note else {})}


def _print_table(result: SearchResult, count: int, request: SearchRequest) -> None:
    """Print the hits; `count` is the number of images that were searched."""
    from cbir.cli.console import out, print_columns, printable, similarity_bar
    from cbir.reranking import find_reranker
    from cbir.types import NO_MATCH

    rerank, offset = request.rerank, request.offset
    verified = isinstance(rerank, str) and find_reranker(rerank).counts_inliers
    if result.hits:
        confidence = [] if result.matched is None else ["confidence"]
        if result.matched is False:
            out().print(NO_MATCH)
        evidence = [] if rerank is None else ["inliers" if verified else "score"]
        print_columns(
            ("#", "similarity", "", *confidence, *evidence, "id", "image"),
            [
                (
                    str(hit.rank),
                    f"{hit.similarity:.3f}",
                    similarity_bar(hit.similarity),
                    *(hit.confidence.word if hit.confidence else "–" for _ in confidence),
                    *(_evidence(hit, verified=verified) for _ in evidence),
                    str(hit.image.id),
                    printable(hit.image.name),
                )
                for hit in result.hits
            ],
            align=">><" + "<" * len(confidence) + ">" * len(evidence) + "><",
        )
    elif request.matches_only and count and not offset:
        out().print("no confident match; without --matches-only the most similar images are shown")
    else:
        beyond = f" beyond the first {offset:,}" if offset else ""
        out().print(f"nothing found{beyond}: no other image of the gallery fits the conditions")
    for hit in result.hits:
        if hit.rerank is not None and hit.rerank.note:
            note = printable(f"{hit.image.name} was not reranked: {hit.rerank.note}")
            out().print(note, style="dim")
    ms = result.timings_ms
    line = f"embedded {ms['embed']:.0f} ms · searched {count:,} in {ms['search']:.1f} ms"
    if rerank is not None:
        what = "verified" if verified else "reranked"
        line += f" · {what} {result.reranked} in {ms['rerank']:.0f} ms"
    out().print(line, style="dim")


def _evidence(hit: Hit, *, verified: bool) -> str:
    """The table cell of a hit's inliers or score; a dash where there are none."""
    if hit.rerank is None or hit.rerank.note:
        return "–"
    return str(hit.rerank.inliers or "–") if verified else f"{hit.rerank.score:.3f}"


def _write_sheet(
    path: Path, result: SearchResult, retriever: Retriever, request: SearchRequest
) -> None:
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet

    title = f"{result.query}: the {len(result.hits)} most similar images"
    first, *further = (retriever.query_image(query, crop=request.crop) for query in request.queries)
    unwanted = (retriever.query_image(query) for query in request.unwanted)
    sheet = Sheet(
        result,
        first,
        further_images=tuple(image for image in further if image is not None),
        unwanted_images=tuple(image for image in unwanted if image is not None),
    )
    write_contact_sheet(path, [sheet], title=title)
