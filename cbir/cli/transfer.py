"""`cbir export` and `cbir import`: write a gallery to a file, and read it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from cbir.cli.options import (
    DEFAULT_GALLERY,
    EXIT_SOME_FAILED,
    BackboneOption,
    GalleryOption,
    JsonOption,
    PoolingOption,
    WeightsOption,
    interruptible,
)

if TYPE_CHECKING:
    from cbir.config import EmbeddingSpec
    from cbir.gallery import Gallery
    from cbir.transfer import ImportReport


def register(app: typer.Typer) -> None:
    app.command("export")(export)
    app.command("import")(import_)


def export(
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .parquet, or .npy with .jsonl and .json beside it.", metavar="FILE"
        ),
    ],
    gallery: GalleryOption = DEFAULT_GALLERY,
    where: Annotated[
        Optional[list[str]],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option(
            help="Only images that match, as 'price<50'; may be repeated.", metavar="COND"
        ),
    ] = None,
    dtype: Annotated[
        Optional[Literal["float16", "float32"]],  # noqa: UP045
        typer.Option(help="Type of the embeddings in the file.  [float16, as stored]"),
    ] = None,
    projected: Annotated[
        bool,
        typer.Option("--projected", help="Vectors as compared (whitened); only for other tools."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a gallery's embeddings, ids and metadata to FILE, for other tools or other machines.

    'cbir import FILE' recreates the same gallery from it, bit for bit.
    """
    from dataclasses import asdict

    from cbir.cli.console import print_json, progress_line
    from cbir.filters import parse_where
    from cbir.gallery import Gallery
    from cbir.transfer import export_gallery

    condition = parse_where(where) if where else None
    with (
        Gallery.open(gallery) as opened,
        progress_line("exporting", opened.count(condition)) as progress,
    ):
        report = export_gallery(
            opened, out, where=condition, dtype=dtype, projected=projected, progress=progress
        )
    if json:
        print_json(asdict(report))
    else:
        typer.echo(
            f"{report.images:,} images, {report.dim}-d {report.dtype}, {report.bytes / 1e6:,.1f} MB"
            f" in {report.seconds:,.1f} s: {', '.join(report.files)}"
        )


def import_(
    file: Annotated[Path, typer.Argument(help=".parquet or .npy, as 'cbir export' writes it.")],
    gallery: GalleryOption = DEFAULT_GALLERY,
    root: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Images below the folder OLD are below NEW here; may be repeated.",
            metavar="OLD=NEW",
        ),
    ] = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    pooling: PoolingOption = None,
    json: JsonOption = False,
) -> None:
    """Import what 'cbir export' wrote into a gallery, which is created if there is none.

    A new gallery keeps the ids of the file; in an existing one images are identified by their
    keys. An interrupted import goes on when it is run again. A file of another tool needs
    --backbone, the network that made its embeddings. Exit code 0: all rows were imported; 3: some
    were not.
    """
    from dataclasses import asdict

    from cbir.cli.console import print_json, progress_line
    from cbir.embedding import resolve_spec
    from cbir.gallery import Gallery
    from cbir.transfer import Root, import_gallery, row_count

    spec: EmbeddingSpec | None = None
    origin = None
    if backbone or weights or pooling:
        spec, origin = resolve_spec(
            *([backbone] if backbone else []), weights=weights, pooling=pooling
        )
    roots = [Root.parse(text) for text in root or ()]
    with interruptible(), progress_line("importing", row_count(file)) as progress:
        report = import_gallery(
            file, gallery, spec=spec, weights_from=origin, roots=roots, progress=progress
        )
    if json:
        print_json(asdict(report) | {"gallery": str(gallery)})
    else:
        with Gallery.open(gallery) as opened:
            _print_report(report, opened)
    if report.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_report(report: ImportReport, gallery: Gallery) -> None:
    from cbir.cli.console import out, print_failures
    from cbir.cli.gallery import summary

    console = out()
    print_failures(report.failed)
    counts = [f"added {report.added:,}"]
    if report.updated:
        counts.append(f"updated {report.updated:,}")
    counts.append(f"unchanged {report.unchanged:,}")
    if report.failed:
        counts.append(f"failed {len(report.failed):,}")
    console.print("   ".join(counts) + f"   in {report.seconds:,.1f} s")
    console.print(summary(gallery))
