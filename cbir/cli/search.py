"""`cbir search`: the images of a gallery that look like given ones."""

from __future__ import annotations

import sys
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
    from collections.abc import Sequence

    from cbir.retrieval import Crop, Query, Retriever
    from cbir.types import Hit, SearchResult


def register(app: typer.Typer) -> None:
    app.command()(search)


def search(
    images: Annotated[
        list[str],
        typer.Argument(
            help="A file, - for standard input, or id:N for an image of the gallery; several "
            "are one query together.",
            metavar="IMAGE...",
        ),
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many images to find.")] = 10,
    offset: Annotated[
        int, typer.Option(min=0, help="Leave out the first N: the pages behind.", metavar="N")
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
        typer.Option(help="Several images: what they share, or whatever is near to one of them."),
    ] = "mean",
    crop: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Ask with a region of the image, in pixels, or as fractions: 0,0,0.5,1.",
            metavar="X,Y,W,H",
        ),
    ] = None,
    multi_crop: Annotated[
        bool,
        typer.Option(
            "--multi-crop",
            help="Ask with the image's own regions, too: for a part that two images share. The "
            "gallery must have regions.",
        ),
    ] = False,
    min_similarity: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=-1.0, max=1.0, help="Only images as similar or more.", metavar="S"),
    ] = None,
    matches_only: Annotated[
        bool,
        typer.Option("--matches-only", help="Only images more similar than chance explains."),
    ] = False,
    group_by: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of images with one value in FIELD, the best only.", metavar="FIELD"),
    ] = None,
    max_per_group: Annotated[
        int, typer.Option(min=1, help="With --group-by: so many of each.", metavar="N")
    ] = 1,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with every image, whatever the index.")
    ] = False,
    rerank: RerankOption = None,
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
    """Find the images that look most like IMAGE, or like several of them at once."""
    ahead = None
    if crop is not None or not all(image.startswith("id:") for image in images + (unwanted or [])):
        from cbir.cli.ahead import open_ahead

        options: dict[str, Any] = {"device": device, "runtime": runtime, "precision": precision}
        ahead = open_ahead(gallery, image=_file(images[0]) if crop is None else None, **options)

    from cbir.filters import parse_where
    from cbir.gallery import Gallery
    from cbir.retrieval import Retriever

    region = None if crop is None else _crop(crop)
    if region is not None and len(images) > 1:
        raise UsageError("--crop is a region of one image; search with that image alone")
    if multi_crop and len(images) > 1 and combine == "mean":
        raise UsageError("--multi-crop asks with each part by itself; add --combine best")
    condition = parse_where(where) if where else None
    wanted, away = _queries(images, unwanted or [])
    with Gallery.open(gallery) as opened:
        reranker = None
        if rerank is not None:
            from cbir.reranking import open_reranker

            reranker = open_reranker(rerank, opened, depth=depth)
        opened.index()
        embedder = None if ahead is None else ahead.embedder(opened.spec)
        if embedder is None:
            embedder = opened.embedder(device=device, runtime=runtime, precision=precision)
        retriever = Retriever(opened, embedder=embedder)
        result = retriever.search(
            wanted,
            k=k,
            offset=offset,
            where=condition,
            unwanted=away,
            combine=combine,
            crop=region,
            multi_crop=multi_crop,
            min_similarity=min_similarity,
            matches_only=matches_only,
            group_by=group_by,
            max_per_group=max_per_group,
            exact=exact,
            rerank=reranker,
        )
        if html is not None:
            _write_sheet(html, result, retriever, wanted, away, region)
        if json:
            from cbir.cli.console import print_json

            asked = {
                "images": images if len(images) > 1 else None,
                "combine": combine if len(images) > 1 else None,
                "not": unwanted or None,
                "crop": region,
                "multi_crop": multi_crop or None,
                "where": where or None,
                "min_similarity": min_similarity,
                "matches_only": matches_only or None,
                "group_by": group_by,
                "max_per_group": max_per_group if group_by else None,
                "offset": offset or None,
            }
            print_json(_as_json(result, asked))
        else:
            count = opened.count(condition)
            _print_table(result, count, rerank, offset=offset, matches_only=matches_only)
    if html is not None and not json:
        typer.echo(f"contact sheet: {html}")


def _queries(wanted: list[str], unwanted: list[str]) -> tuple[list[Query], list[Query]]:
    if (wanted + unwanted).count("-") > 1:
        raise UsageError("standard input holds one image; name the others by file or id:N")
    return [_query(image) for image in wanted], [_query(image) for image in unwanted]


def _query(image: str) -> Query:
    if image == "-":
        return sys.stdin.buffer.read()
    if image.startswith("id:"):
        try:
            return int(image[3:])
        except ValueError:
            raise UsageError(f"{image!r} is no image id; give id: and a number, as id:12") from None
    from cbir.sources.paths import is_remote

    return image if is_remote(image) else Path(image)


def _file(image: str) -> Path | None:
    """The file on this machine that an image of the command line is, if it is one."""
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


def _as_json(result: SearchResult, asked: dict[str, Any]) -> dict[str, Any]:
    """The answer, with what was asked for beside the image."""
    return {
        "query": result.query,
        **{name: value for name, value in asked.items() if value is not None},
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
    """What the similarity of a hit means, to four digits."""
    if (own := hit.confidence) is None:
        return None
    chance = {"p_value": own.p_value, "expected_unrelated": own.expected}
    return {name: float(f"{value:.4g}") for name, value in chance.items()} | {"word": own.word}


def _rerank_as_json(hit: Hit) -> dict[str, Any]:
    """What a reranker said about a hit; nothing where none was asked."""
    if (own := hit.rerank) is None:
        return {}
    said = {"method": own.method, "score": round(own.score, 6), "inliers": own.inliers}
    return {"rerank": said | ({"note": own.note} if own.note else {})}


def _print_table(
    result: SearchResult, count: int, rerank: str | None, *, offset: int, matches_only: bool
) -> None:
    from cbir.cli.console import out, print_columns, printable, similarity_bar
    from cbir.reranking import find_reranker
    from cbir.types import NOTHING_CLOSE

    verified = rerank is not None and find_reranker(rerank).counts_inliers
    if result.hits:
        judged = [] if result.matched is None else ["confidence"]
        if result.matched is False:
            out().print(NOTHING_CLOSE)
        evidence = [] if rerank is None else ["inliers" if verified else "score"]
        print_columns(
            ("#", "similarity", "", *judged, *evidence, "id", "image"),
            [
                (
                    str(hit.rank),
                    f"{hit.similarity:.3f}",
                    similarity_bar(hit.similarity),
                    *(hit.confidence.word if hit.confidence else "–" for _ in judged),
                    *(_evidence(hit, verified=verified) for _ in evidence),
                    str(hit.image.id),
                    printable(hit.image.name),
                )
                for hit in result.hits
            ],
            align=">><" + "<" * len(judged) + ">" * len(evidence) + "><",
        )
    elif matches_only and count and not offset:
        out().print("nothing close; without --matches-only the nearest are shown")
    else:
        beyond = f" beyond the first {offset:,}" if offset else ""
        out().print(f"nothing found{beyond}: the gallery has no other image that was asked for")
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


def _write_sheet(
    path: Path,
    result: SearchResult,
    retriever: Retriever,
    wanted: Sequence[Query],
    unwanted: Sequence[Query],
    crop: Crop | None,
) -> None:
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet

    title = f"{result.query}: the {len(result.hits)} most similar images"
    first, *further = (retriever.query_image(query, crop=crop) for query in wanted)
    away = (retriever.query_image(query) for query in unwanted)
    sheet = Sheet(
        result,
        first,
        further_images=tuple(image for image in further if image is not None),
        unwanted_images=tuple(image for image in away if image is not None),
    )
    write_contact_sheet(path, [sheet], title=title)
