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
    from cbir.types import SearchResult


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
        embedder = opened.embedder(device=device, runtime=runtime, precision=precision)
        retriever = Retriever(opened, embedder=embedder)
        retriever.warm_up(network=not isinstance(query, int))
        result = retriever.search(query, k=k, exact=exact)
        if html is not None:
            _write_sheet(html, result, retriever.query_image(query))
        if json:
            from cbir.cli.console import print_json

            print_json(_as_json(result))
        else:
            _print_table(result, opened.count())
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
            }
            for hit in result.hits
        ],
        "timings_ms": {stage: round(ms, 3) for stage, ms in result.timings_ms.items()},
    }


def _print_table(result: SearchResult, count: int) -> None:
    from cbir.cli.console import out, print_columns, printable, similarity_bar

    if result.hits:
        print_columns(
            ("#", "similarity", "", "id", "image"),
            [
                (
                    str(hit.rank),
                    f"{hit.similarity:.3f}",
                    similarity_bar(hit.similarity),
                    str(hit.image.id),
                    printable(hit.image.name),
                )
                for hit in result.hits
            ],
            align=">><><",
        )
    else:
        out().print("nothing found: the gallery has no other image")
    ms = result.timings_ms
    out().print(
        f"embedded {ms['embed']:.0f} ms · searched {count:,} in {ms['search']:.1f} ms", style="dim"
    )


def _write_sheet(path: Path, result: SearchResult, query_image: bytes | None) -> None:
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet

    title = f"{result.query}: the {len(result.hits)} most similar images"
    write_contact_sheet(path, [Sheet(result, query_image)], title=title)
