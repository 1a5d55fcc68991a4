"""`cbir recommend`: recommends similar images for one image of a gallery, or for all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cbir.cli.options import DEFAULT_GALLERY, GalleryOption, JsonOption, UsageError

if TYPE_CHECKING:
    from cbir.gallery import Gallery
    from cbir.recommendation import ExportReport, Recommendation, Rules
    from cbir.types import ImageRecord

SAMPLES = 12
"""Items shown on the contact sheet of --all."""


def register(app: typer.Typer) -> None:
    app.command()(recommend)


def recommend(
    item: Annotated[
        Optional[str],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Argument(help="Image of the gallery: id:N, its file, key or URI.", metavar="ITEM"),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Recommend for every image; needs --out.")
    ] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="With --all: the .parquet, .csv or .jsonl file to write.", metavar="FILE"
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of images to recommend.")] = 12,
    where: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Recommend only images that match, as 'stock=true'; may be repeated.",
            metavar="COND",
        ),
    ] = None,
    same: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Require the item's value in this field; may be repeated.", metavar="FIELD"
        ),
    ] = None,
    different: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Require another value than the item's; may be repeated.", metavar="FIELD"
        ),
    ] = None,
    group_by: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Field that names the product: one image of each, none of the item's.",
            metavar="FIELD",
        ),
    ] = None,
    diversity: Annotated[
        float,
        typer.Option(min=0, max=1, help="0: the most similar images; 1: the most varied."),
    ] = 0.0,
    weight: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Prefer images with a higher value of this field, as 'margin'.", metavar="FIELD"
        ),
    ] = None,
    weight_strength: Annotated[
        float, typer.Option(min=0, help="How much similarity the highest weight makes up for.")
    ] = 0.1,
    pool: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1,
            help="How many of the most similar images --diversity and --weight choose from.  [4 k]",
            metavar="N",
        ),
    ] = None,
    min_similarity: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=-1, max=1, help="Lowest similarity of a recommended image."),
    ] = None,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Recommend duplicates of the item, too.")
    ] = False,
    duplicate_similarity: Annotated[
        float, typer.Option(min=-1, max=1, help="Images more similar than this are duplicates.")
    ] = 0.98,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="With --all: compare all dimensions of all images, which is slower."
        ),
    ] = False,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Also write a contact sheet.", metavar="FILE"),
    ] = None,
    gallery: GalleryOption = DEFAULT_GALLERY,
    json: JsonOption = False,
) -> None:
    """Recommend images similar to ITEM, or to each image with --all.

    Images without a field of --same or --different are not recommended, and get no recommendations.
    The score is similarity + WEIGHT_STRENGTH x the share of images with a smaller weight.
    """
    from cbir.cli.console import out as console_out
    from cbir.cli.console import printable
    from cbir.filters import parse_where
    from cbir.gallery import Gallery
    from cbir.recommendation import Rules

    if everything == (item is not None):
        problem = "no item" if item is None else f"--all and ITEM {item} exclude each other"
        raise UsageError(f"{problem}; give either an ITEM, as id:12, or --all with --out FILE")
    if everything != (out is not None):
        raise UsageError("--all and --out FILE go together; name a .parquet, .csv or .jsonl file")
    if pool is not None and pool < k:
        raise UsageError(f"--pool {pool} is too small for {k} recommendations; make it {k} or more")
    rules = Rules(
        k=k,
        where=parse_where(where) if where else None,
        same=tuple(same or ()),
        different=tuple(different or ()),
        group_by=group_by,
        keep_duplicates=keep_duplicates,
        duplicate_similarity=duplicate_similarity,
        min_similarity=min_similarity,
        diversity=diversity,
        weight=weight,
        weight_strength=weight_strength,
        pool=pool,
    )
    with Gallery.open(gallery) as opened:
        if out is not None:
            _for_all(opened, rules, out, exact=exact, html=html, json=json)
        else:
            assert item is not None
            _for_one(opened, rules, item, html=html, json=json)
        if not json:
            for note in _notes(opened, rules):
                console_out().print(printable(note), style="dim")
    if html is not None and not json:
        typer.echo(f"contact sheet: {html}")


def _for_one(gallery: Gallery, rules: Rules, item: str, *, html: Path | None, json: bool) -> None:
    from cbir.cli.console import print_json
    from cbir.recommendation import recommend as recommend_one

    image = gallery.find(item)
    recommendations = recommend_one(gallery, image.id, rules)
    if html is not None:
        _write_sheet(html, gallery, rules, [(image, recommendations)], title=f"for {image.name}")
    if json:
        print_json(
            {
                "item": _image_as_json(image),
                "recommendations": _as_json(recommendations),
                "notes": list(_notes(gallery, rules)),
            }
        )
    else:
        _print_table(gallery, rules, image, recommendations)


def _notes(gallery: Gallery, rules: Rules) -> tuple[str, ...]:
    """What the filter leaves out because it is no number, a sentence for each field."""
    return () if rules.where is None else gallery.catalog.filter_notes(rules.where)


def _for_all(
    gallery: Gallery, rules: Rules, out: Path, *, exact: bool, html: Path | None, json: bool
) -> None:
    import dataclasses

    from cbir.cli.console import print_json, progress_line
    from cbir.recommendation import export_recommendations

    with progress_line("recommending", gallery.count()) as progress:
        export = export_recommendations(gallery, out, rules, exact=exact, progress=progress)
    if html is not None:
        _write_samples(html, gallery, rules)
    if json:
        notes = list(_notes(gallery, rules))
        print_json({"out": str(out), **dataclasses.asdict(export), "notes": notes})
    else:
        _print_summary(export, rules, out)


def _print_table(
    gallery: Gallery, rules: Rules, item: ImageRecord, recommendations: tuple[Recommendation, ...]
) -> None:
    from cbir.cli.console import out, print_columns, printable, similarity_bar

    scored = rules.weight is not None
    fields = _shown_fields(rules)
    if recommendations:
        print_columns(
            ("#", "similarity", "", *(["score"] if scored else []), "id", *fields, "image"),
            [
                (
                    str(recommended.rank),
                    f"{recommended.similarity:.3f}",
                    similarity_bar(recommended.similarity),
                    *([f"{recommended.score:.3f}"] if scored else []),
                    str(recommended.image.id),
                    *(
                        printable(str(recommended.image.metadata.get(field, "–")))
                        for field in fields
                    ),
                    printable(recommended.image.name),
                )
                for recommended in recommendations
            ],
            align=">><" + (">" if scored else "") + ">" + "<" * len(fields) + "<",
        )
    for field in (*rules.same, *rules.different):
        if field not in item.metadata:
            out().print(f"{printable(item.name)} has no {field!r}, so no image is recommended")
    count = (
        f"{len(recommendations)} of {rules.k} wanted"
        if len(recommendations) < rules.k
        else str(len(recommendations))
    )
    out().print(f"{count} for {printable(item.name)} from {gallery.count():,} images", style="dim")


def _print_summary(export: ExportReport, rules: Rules, path: Path) -> None:
    from cbir.cli.console import out

    if export.restarted:
        out().print("started again: options or gallery changed since the unfinished run")
    if export.resumed:
        out().print(f"resumed after {export.resumed:,} items of an earlier run")
    short = [f"{export.items:,} items", f"{export.recommendations:,} recommendations"]
    if export.short:
        short.append(f"{export.short:,} with fewer than {rules.k}, {export.without:,} with none")
    if export.lacking:
        names = " or ".join((*rules.same, *rules.different))
        short.append(f"{export.lacking:,} lack {names}")
    out().print(f"{'   '.join(short)}   in {export.seconds:.1f} s")
    if export.recall is not None:
        out().print(
            f"first pass in {export.dimensions} dimensions, recall {export.recall:.4f} "
            "(--exact compares all)",
            style="dim",
        )
    out().print(f"written: {path}")


def _shown_fields(rules: Rules) -> list[str]:
    """The fields that the rules name, each once."""
    named = (*rules.same, *rules.different, rules.group_by, rules.weight)
    return list(dict.fromkeys(name for name in named if name is not None))


def _as_json(recommendations: tuple[Recommendation, ...]) -> list[dict[str, Any]]:
    return [
        {
            "rank": recommended.rank,
            **_image_as_json(recommended.image),
            "similarity": round(recommended.similarity, 6),
            "score": round(recommended.score, 6),
            "metadata": dict(recommended.image.metadata),
        }
        for recommended in recommendations
    ]


def _image_as_json(image: ImageRecord) -> dict[str, Any]:
    return {"id": image.id, "key": image.key, "uri": image.uri}


def _write_samples(path: Path, gallery: Gallery, rules: Rules) -> None:
    """A contact sheet of items spread evenly over the gallery."""
    from cbir.recommendation import recommend as recommend_one

    with gallery.catalog.snapshot() as snapshot:
        ids = snapshot.contents().ids.tolist()
    chosen = ids[:: max(1, len(ids) // SAMPLES)][:SAMPLES]
    sections = [(gallery.image(i), recommend_one(gallery, i, rules)) for i in chosen]
    title = f"{gallery.path}: {len(sections)} of {len(ids):,} items"
    _write_sheet(path, gallery, rules, sections, title=title)


def _write_sheet(
    path: Path,
    gallery: Gallery,
    rules: Rules,
    sections: list[tuple[ImageRecord, tuple[Recommendation, ...]]],
    *,
    title: str,
) -> None:
    from cbir.errors import ImageError
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet
    from cbir.sources.reading import read_uri
    from cbir.types import Hit, RerankScore, SearchResult

    sheets = []
    for item, recommendations in sections:
        hits = tuple(
            Hit(
                recommended.rank,
                recommended.image,
                recommended.similarity,
                RerankScore("score", recommended.score) if rules.weight is not None else None,
            )
            for recommended in recommendations
        )
        try:
            picture: bytes | None = read_uri(item.uri)
        except ImageError:
            picture = None
        fields = [
            f"{name} {item.metadata[name]}"
            for name in _shown_fields(rules)
            if name in item.metadata
        ]
        sheets.append(Sheet(SearchResult(item.name, hits, {}), picture, note=" · ".join(fields)))
    write_contact_sheet(path, sheets, title=f"recommended {title}")
