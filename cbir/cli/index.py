"""`cbir index`: bring a gallery up to a folder or a manifest."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cbir.config import EmbeddingSpec, GalleryConfig, View
    from cbir.embedding import Embedder
    from cbir.gallery import Gallery
    from cbir.types import FailedImage, IndexReport

EXIT_INTERRUPTED = 130

SOURCE_HELP = (
    "A folder of images or tars; a manifest (.csv, .jsonl, .parquet) with a column of paths or "
    "URLs; a tar, or several as 'shard-{000..009}.tar'; an image; or s3://BUCKET/PREFIX."
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
        typer.Option(help="Side of the network's input; larger sees more.", metavar="PIXELS"),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="See the whole image beside its centre: twice the work.")
    ] = False,
    zoom: Annotated[
        bool, typer.Option("--zoom", help="See its middle larger, too: as much work again.")
    ] = False,
    flip: Annotated[
        bool, typer.Option("--flip", help="See it mirrored, too: twice the work.")
    ] = False,
    multi_crop: Annotated[
        bool,
        typer.Option(
            "--multi-crop",
            help="Embed nine overlapping regions of each image, too, so that a detail finds its "
            "whole: ten times the work. Images already there get theirs.",
        ),
    ] = False,
    kind: IndexKindOption = None,
    image_column: Annotated[
        str, typer.Option(help="Column of a manifest with paths or URLs.", metavar="COLUMN")
    ] = "path",
    key: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Column (of tars: field, or __key__) by which an image is known, instead of its "
            "place. Remembered for SOURCE; to change it, add --prune; '' is the place again.",
            metavar="COLUMN",
        ),
    ] = None,
    descriptors: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=DESCRIPTORS_HELP, metavar="NAME"),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try unreadable images again at once.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Follow SOURCE: moves, and removals at the end.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Prune even if SOURCE has lost more than half.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    decoders: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0,
            help="Processes that decode; by default one a core before a GPU, none on a CPU, where "
            "the threads that embed do.",
            metavar="N",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Embed what is new or changed in SOURCE and keep it in the gallery.

    Run it again at any time: only new and changed images are embedded, and an interrupted run
    goes on where it stopped. Exit code 0: all images are in; 3: some could not be read.
    """
    from cbir.cli.console import print_json, progress_line
    from cbir.cli.plan import show_plan
    from cbir.config import available_cores
    from cbir.indexing import calibrate, index_images
    from cbir.sources import open_source

    if descriptors is not None:
        check_descriptor(descriptors)
    if force and not prune:
        raise UsageError("--force has a meaning with --prune only; add that, or leave it out")
    images = open_source(source, image_column=image_column, key=key)
    asked = _Asked(backbone, weights, pooling, input_size, whole, zoom, flip)
    if dry_run:
        with _open(gallery, asked, kind) or nullcontext() as existing:
            planned = show_plan(
                images,
                existing,
                prune=prune,
                force=force,
                retry_failed=retry_failed,
                multi_crop=multi_crop,
                json=json,
            )
        raise typer.Exit(planned)
    with _open_or_create(gallery, asked, kind, multi_crop=multi_crop) as opened:
        if precision == "int8" and runtime != "torch":
            calibrate(images, opened)
        embedder = opened.embedder(
            device=device, runtime=runtime, precision=precision, streams=available_cores()
        )
        try:
            with progress_line("indexing", images.count()) as progress:
                report = index_images(
                    images,
                    opened,
                    embedder=embedder,
                    decoders=decoders,
                    prune=prune,
                    force=force,
                    retry_failed=retry_failed,
                    progress=progress,
                )
            bare = _add_regions(opened, embedder, decoders)
        except KeyboardInterrupt:
            typer.echo("interrupted; what was committed stays, run it again to go on", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        if descriptors is not None:
            _describe(opened, descriptors)
        if json:
            print_json(
                asdict(report)
                | {"gallery": str(gallery), "images": opened.count()}
                | {"without_regions": [asdict(failure) for failure in bare]}
            )
        else:
            _print_report(report, opened, bare)
    if report.failed or bare:
        raise typer.Exit(EXIT_SOME_FAILED)


@dataclass(frozen=True)
class _Asked:
    """The options that decide a gallery's embedding space; those not given are empty."""

    backbone: str | None
    weights: str | None
    pooling: str | None
    input_size: int | None
    whole: bool
    zoom: bool
    flip: bool

    def spec(self, own: GalleryConfig | None) -> tuple[EmbeddingSpec, str | None]:
        """The space asked for; what is not said is as in `own`, of the same backbone."""
        from cbir.config import DEFAULT_BACKBONE
        from cbir.embedding import resolve_spec

        same = own if own is not None and self.backbone in (None, own.spec.backbone) else None
        name = self.backbone or (DEFAULT_BACKBONE if same is None else same.spec.backbone)
        views: tuple[View, ...] = ("crop",) if same is None else same.spec.views
        if self.whole or self.zoom:
            asked: dict[View, bool] = {"crop": True, "whole": self.whole, "zoom": self.zoom}
            views = tuple(view for view, wanted in asked.items() if wanted)
        return resolve_spec(
            name,
            pooling=self.pooling or (None if same is None else same.spec.pooling),
            weights=self.weights or (None if same is None else same.weights_from),
            input_size=self.input_size or (None if same is None else same.spec.preprocessing.crop),
            views=views,
            flip=self.flip or (same is not None and same.spec.flip),
        )


def _open_or_create(
    path: Path, asked: _Asked, kind: IndexKindOption, *, multi_crop: bool
) -> Gallery:
    """The gallery at `path`, made if there is none; options must be those it was made with.

    Regions alone may be added later.
    """
    from cbir.config import MULTI_CROP
    from cbir.gallery import Gallery

    regions = MULTI_CROP if multi_crop else ()
    if (gallery := _open(path, asked, kind)) is not None:
        if multi_crop and not gallery.config.regions:
            gallery.add_regions(regions)
        return gallery
    spec, origin = asked.spec(None)
    return Gallery.create(path, spec, weights_from=origin, index=kind or "auto", regions=regions)


def _open(path: Path, asked: _Asked, kind: IndexKindOption) -> Gallery | None:
    """The gallery at `path`, if there is one; options must be those it was made with."""
    from cbir.errors import GalleryError, GalleryNotFoundError
    from cbir.gallery import Gallery

    try:
        gallery = Gallery.open(path)
    except GalleryNotFoundError:
        return None
    if any(vars(asked).values()):
        gallery.check_spec(asked.spec(gallery.config)[0], "the options given")
    if kind not in (None, gallery.config.index):
        raise GalleryError(
            f"gallery {path} has a vector index of kind {gallery.config.index}; "
            f"'cbir rebuild --index {kind} --gallery {path}' changes it"
        )
    return gallery


def _add_regions(gallery: Gallery, embedder: Embedder, decoders: int | None) -> list[FailedImage]:
    """Embed the regions of images that were there before their gallery had any; what failed."""
    from cbir.cli.console import progress_line
    from cbir.indexing import ensure_regions

    missing = len(gallery.catalog.without_regions()) if gallery.config.regions else 0
    if not missing:
        return []
    with progress_line("regions", missing) as progress:
        return ensure_regions(gallery, embedder=embedder, decoders=decoders, progress=progress)


def _describe(gallery: Gallery, name: str) -> None:
    """Make the descriptors that images lack, ahead of the first search that needs them."""
    from cbir.cli.console import progress_line
    from cbir.descriptors import ensure_descriptors

    missing = len(gallery.catalog.without_descriptors(name))
    with progress_line("describing", missing) as progress:
        ensure_descriptors(gallery.catalog, name, progress=progress)


def _print_report(report: IndexReport, gallery: Gallery, bare: Sequence[FailedImage]) -> None:
    from cbir.cli.console import out, print_failures
    from cbir.cli.gallery import summary
    from cbir.cli.plan import repeated_line

    console = out()
    print_failures(report.failed)
    print_failures(bare, "no regions")
    counts = [f"added {report.added:,}"]
    if report.updated:
        counts.append(f"updated {report.updated:,}")
    if report.moved:
        counts.append(f"moved {report.moved:,}")
    if report.removed:
        counts.append(f"removed {report.removed:,}")
    counts.append(f"unchanged {report.unchanged:,}")
    if report.failed:
        which = "" if gallery.path == DEFAULT_GALLERY else f" -g {gallery.path}"
        counts.append(f"failed {len(report.failed):,} (cbir info --failed{which} lists them)")
    if report.repeated:
        console.print(repeated_line(report.repeated), style="dim")
    console.print("   ".join(counts) + f"   in {report.seconds:,.1f} s")
    console.print(summary(gallery))
    if gallery.count():
        which = "" if gallery.path == DEFAULT_GALLERY else f" --gallery {gallery.path}"
        console.print(f"next: cbir search PHOTO{which}", style="dim")
