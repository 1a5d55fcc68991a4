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
    from cbir.retrieval import Crop, Query, SearchRequest
    from cbir.types import SearchResult


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

    from cbir.cli.search_output import echo_options, print_result, result_as_json, write_sheet
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
            write_sheet(html, result, retriever, request)
        if json:
            from cbir.cli.console import print_json

            print_json(result_as_json(result, echo_options(request, given)))
        else:
            print_result(result, opened.count(request.where), request)
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
