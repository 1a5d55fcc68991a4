"""`cbir index`: brings a gallery up to date with a source of images."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cbir.cli.embedding_space import SpaceOptions, open_existing, open_or_create
from cbir.cli.options import (
    DEFAULT_GALLERY,
    DESCRIPTORS_HELP,
    EXIT_SOME_FAILED,
    BackboneOption,
    DeviceOption,
    GalleryOption,
    IndexKindOption,
    JsonOption,
    PoolingOption,
    PrecisionOption,
    RuntimeOption,
    UsageError,
    WeightsOption,
    check_descriptor,
    interruptible,
)
from cbir.messages import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir.embedding import Embedder
    from cbir.gallery import Gallery
    from cbir.types import FailedImage, IndexReport

SOURCE_HELP = (
    "A folder of images or tars; a manifest (.csv, .json, .jsonl, .parquet) with a column of "
    "paths, URLs or images; a tar, or several as 'shard-{000..009}.tar'; an image; or "
    "s3://BUCKET/PREFIX."
)


def register(app: typer.Typer) -> None:
    app.command()(index)


def index(
    source: Annotated[str, typer.Argument(help=SOURCE_HELP)],
    gallery: GalleryOption = DEFAULT_GALLERY,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    pooling: PoolingOption = None,
    input_size: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Side of the network's input; a larger one shows more detail.", metavar="PIXELS"
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Embed the whole image, too, not only its centre: twice the work."
        ),
    ] = False,
    zoom: Annotated[
        bool, typer.Option("--zoom", help="Embed an enlarged centre, too: as much work again.")
    ] = False,
    flip: Annotated[
        bool, typer.Option("--flip", help="Embed the mirror image, too: twice the work.")
    ] = False,
    multi_crop: Annotated[
        bool,
        typer.Option(
            "--multi-crop",
            help="Embed nine overlapping regions of each image, too, so that a detail finds its "
            "image: ten times the work. Images indexed before get them, too.",
        ),
    ] = False,
    kind: IndexKindOption = None,
    catalog_url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Where a new gallery's catalogue lies, instead of the gallery's folder: "
            "sqlite:////data/shop.sqlite.",
            metavar="URL",
        ),
    ] = None,
    image_column: Annotated[
        str, typer.Option(help="Column of a manifest with paths or URLs.", metavar="COLUMN")
    ] = "path",
    key: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Column (of tars: field, or __key__) that identifies an image, instead of its "
            "path. Remembered for SOURCE; to change it, add --prune; '' returns to the path.",
            metavar="COLUMN",
        ),
    ] = None,
    exclude: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Leave out files and folders that match, as in a .gitignore: '*.gif', 'raw/', "
            "'!raw/best/'. May be repeated; a file .cbirignore says the same for its folder.",
            metavar="PATTERN",
        ),
    ] = None,
    include: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="List only files that match, as '*.png' or '2026/'. May be repeated.",
            metavar="PATTERN",
        ),
    ] = None,
    descriptors: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=DESCRIPTORS_HELP, metavar="NAME"),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry images that could not be read before.")
    ] = False,
    check_content: Annotated[
        bool,
        typer.Option(
            "--check-content",
            help="Read all images and compare their content: finds files that have changed and "
            "kept their size and time.",
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove images that are gone from SOURCE or excluded, and follow moved ones.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Prune even if more than half of the images are gone.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done; write nothing.")
    ] = False,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    decoders: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0,
            help="Number of decoder processes; by default one per core for a GPU, none for a CPU, "
            "where the threads that embed also decode.",
            metavar="N",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Embed the new and changed images of SOURCE and store them in the gallery.

    Run it again at any time: only new and changed images are embedded, and an interrupted run
    goes on where it stopped. Exit code 0: all images are indexed; 3: some could not be read.
    """
    from cbir.cli.console import print_json, progress_line
    from cbir.cli.plan import show_plan
    from cbir.config import available_cores
    from cbir.indexing import calibrate, index_images
    from cbir.sources import open_source

    if descriptors is not None:
        check_descriptor(descriptors)
    if force and not prune:
        raise UsageError("--force only works with --prune; add that, or leave it out")
    images = open_source(
        source,
        image_column=image_column,
        key=key,
        exclude=exclude or (),
        include=include or (),
    )
    space = SpaceOptions(backbone, weights, pooling, input_size, whole, zoom, flip)
    if dry_run:
        existing = open_existing(gallery, space, kind, catalog_url=catalog_url)
        with existing or nullcontext():
            exit_code = show_plan(
                images,
                existing,
                prune=prune,
                force=force,
                retry_failed=retry_failed,
                check_content=check_content,
                multi_crop=multi_crop,
                json=json,
            )
        raise typer.Exit(exit_code)
    with open_or_create(
        gallery, space, kind, catalog_url=catalog_url, multi_crop=multi_crop
    ) as opened:
        if precision == "int8" and runtime != "torch":
            calibrate(images, opened)
        embedder = opened.embedder(
            device=device, runtime=runtime, precision=precision, streams=available_cores()
        )
        with interruptible():
            with progress_line("indexing", images.count()) as progress:
                report = index_images(
                    images,
                    opened,
                    embedder=embedder,
                    decoders=decoders,
                    prune=prune,
                    force=force,
                    retry_failed=retry_failed,
                    check_content=check_content,
                    progress=progress,
                )
            without_regions = _add_regions(opened, embedder, decoders)
        if descriptors is not None:
            _describe(opened, descriptors)
        if json:
            print_json(
                asdict(report)
                | {"gallery": str(gallery), "images": opened.count()}
                | {"without_regions": [asdict(failure) for failure in without_regions]}
            )
        else:
            _print_report(report, opened, without_regions)
    if report.failed or without_regions:
        raise typer.Exit(EXIT_SOME_FAILED)


def _add_regions(gallery: Gallery, embedder: Embedder, decoders: int | None) -> list[FailedImage]:
    """Embed the regions of images indexed before the gallery had regions; returns failures."""
    from cbir.cli.console import progress_line
    from cbir.indexing import ensure_regions

    missing = len(gallery.catalog.without_regions()) if gallery.config.regions else 0
    if not missing:
        return []
    with progress_line("regions", missing) as progress:
        return ensure_regions(gallery, embedder=embedder, decoders=decoders, progress=progress)


def _describe(gallery: Gallery, name: str) -> None:
    """Compute missing descriptors now, so that the first search need not."""
    from cbir.cli.console import progress_line
    from cbir.descriptors import ensure_descriptors

    missing = len(gallery.catalog.without_descriptors(name))
    with progress_line("describing", missing) as progress:
        ensure_descriptors(gallery.catalog, name, progress=progress)


def _print_report(
    report: IndexReport, gallery: Gallery, without_regions: Sequence[FailedImage]
) -> None:
    from cbir.cli.console import out, print_failures, printable
    from cbir.cli.gallery import remark_counts, summary
    from cbir.cli.left_out import left_out_lines
    from cbir.cli.plan import repeated_line

    console = out()
    print_failures(report.failed)
    print_failures(without_regions, "no regions")
    counts = [f"added {report.added:,}"]
    if report.updated:
        counts.append(f"updated {report.updated:,}")
    if report.moved:
        counts.append(f"moved {report.moved:,}")
    if report.removed:
        counts.append(f"removed {report.removed:,}")
    counts.append(f"unchanged {report.unchanged:,}")
    if report.failed:
        listing = command("info", "--failed", gallery=gallery.path)
        counts.append(f"failed {len(report.failed):,} ({listing} lists them)")
    if report.remarks:
        listing = command("info", "--remarks", gallery=gallery.path)
        remarks = f"remarks: {remark_counts(report.remarks)}"
        console.print(f"{remarks} ({listing} lists them)", style="dim")
    if report.repeated:
        console.print(repeated_line(report.repeated), style="dim")
    console.print("   ".join(counts) + f"   in {report.seconds:,.1f} s")
    for line in left_out_lines(report.left_out):
        console.print(printable(line), style="dim")
    console.print(summary(gallery))
    if gallery.count():
        console.print(f"next: {command('search', 'PHOTO', gallery=gallery.path)}", style="dim")
