"""`cbir remove`, `rebuild`, `whiten` and `verify`: commands on a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cbir.cli.options import DEFAULT_GALLERY, GalleryOption, IndexKindOption, JsonOption
from cbir.messages import advised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cbir.config import Whitening
    from cbir.gallery import Gallery
    from cbir.types import RemarkKind

EXIT_PROBLEMS = 1
PROBLEMS_SHOWN = 10
REMARK_WORDS: Mapping[RemarkKind, str] = {
    "blank": "of one flat colour",
    "damaged": "damaged",
    "frame": "shown by a later frame",
    "raw": "camera RAW",
}
"""Kind of a remark → what follows the number of images with it."""


def register(app: typer.Typer) -> None:
    for command in (remove, rebuild, whiten, verify):
        app.command()(command)


def summary(gallery: Gallery) -> str:
    """A line about a gallery: its images, backbone and index."""
    from cbir.indexes.registry import find_index

    spec = gallery.spec
    count = gallery.count()
    regions = len(gallery.config.regions)
    kind = gallery.index_kind()
    index = "exact index" if find_index(kind).exact else f"{kind} index"
    images = f"{count:,} images" + (f" with {regions} regions each" if regions else "")
    return f"gallery {gallery.path}: {images}, {spec.backbone} · {spec.dim}-d · {index}"


def remark_counts(counts: Mapping[RemarkKind, int]) -> str:
    """`2 blank, 1 damaged`: the number of images with remarks, by kind."""
    return ", ".join(f"{count:,} {REMARK_WORDS[kind]}" for kind, count in counts.items())


def remove(
    images: Annotated[
        list[str], typer.Argument(help="id:N, a file, a URI or a key.", metavar="IMAGE...")
    ],
    gallery: GalleryOption = DEFAULT_GALLERY,
    json: JsonOption = False,
) -> None:
    """Remove images from a gallery. Their files stay where they are.

    An image whose file still lies in an indexed folder comes back with the next 'cbir index'.
    """
    from cbir.cli.console import print_json
    from cbir.gallery import Gallery

    with Gallery.open(gallery) as opened:
        ids = [opened.find(reference).id for reference in images]
        removed = opened.remove(ids)
        if json:
            print_json({"removed": removed, "images": opened.count()})
        else:
            typer.echo(f"removed {removed:,}")
            typer.echo(summary(opened))


def rebuild(
    gallery: GalleryOption = DEFAULT_GALLERY,
    kind: IndexKindOption = None,
    json: JsonOption = False,
) -> None:
    """Rebuild the vector index from the catalogue, without embedding anything."""
    import time

    from cbir.cli.console import print_json
    from cbir.gallery import Gallery

    with Gallery.open(gallery) as opened:
        opened.catalog.check_writable()  # in a gallery that can only be read nothing would last
        started = time.perf_counter()
        opened.rebuild_index(kind)
        seconds = time.perf_counter() - started
        if json:
            index = opened.index()
            print_json({"images": index.count(), "index": index.kind, "seconds": seconds})
        else:
            typer.echo(f"rebuilt in {seconds:,.1f} s")
            typer.echo(summary(opened))


def whiten(
    gallery: GalleryOption = DEFAULT_GALLERY,
    power: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Strength: 0 only centres, 0.5 is half-power, 1 is full whitening.",
        ),
    ] = 0.0,
    shrink: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Regularisation: pull variances towards their mean."),
    ] = 0.0,
    dims: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Number of leading directions to keep.", metavar="N"),
    ] = None,
    fit_on: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--from",
            help="Fit on another gallery of the same backbone and settings.",
            metavar="DIR",
        ),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Turn centring and whitening off.")] = False,
    json: JsonOption = False,
) -> None:
    """Choose how embeddings are centred or whitened; nothing is embedded again.

    Centring (the default) helps nearly everywhere. Half-power whitening helps to find the same
    object and harms the search for the same kind of thing.
    """
    from contextlib import nullcontext
    from dataclasses import asdict

    from cbir.cli.console import print_json
    from cbir.config import Whitening
    from cbir.gallery import Gallery

    other = nullcontext(None) if fit_on is None else Gallery.open(fit_on)
    with Gallery.open(gallery) as opened, other as fitted_on:
        opened.whiten(None if off else Whitening(power, shrink, dims), fit_on=fitted_on)
        whitening = opened.config.whitening
        if json:
            print_json({"whitening": None if whitening is None else asdict(whitening)})
        else:
            typer.echo("plain embeddings" if whitening is None else describe_whitening(whitening))
            typer.echo(summary(opened))


def describe_whitening(whitening: Whitening | None) -> str:
    """`plain`, `centred`, or the settings of the whitening, for people."""
    if whitening is None:
        return "plain"
    if whitening.power == 0 and whitening.dims is None:
        return "centred"
    dims = "" if whitening.dims is None else f", {whitening.dims} dimensions"
    return f"whitened: power {whitening.power:g}, shrink {whitening.shrink:g}{dims}"


def verify(
    gallery: GalleryOption = DEFAULT_GALLERY,
    content: Annotated[
        bool, typer.Option("--content", help="Compare files by content hash: reads them all.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check a gallery: its catalogue, its vector index, and the files of its images.

    Exit code 0: the gallery is sound (files may have gone or changed); 1: it is not.
    """
    from dataclasses import asdict

    from cbir.cli.console import out, print_json
    from cbir.gallery import Gallery
    from cbir.integrity import verify_gallery

    with Gallery.open(gallery) as opened:
        report = verify_gallery(opened, content=content)
        if json:
            print_json({"ok": report.ok} | asdict(report))
        else:
            console = out()
            verdict = "sound" if report.ok else "damaged"
            console.print(f"gallery {opened.path}: {report.images:,} images, {verdict}")
            _print_problems("catalogue", report.catalog_problems)
            _print_problems("vector index", report.index_problems)
            _print_problems("file is gone", report.missing_files)
            _print_problems("file has changed", report.changed_files)
            unread = [f"{file.uri}: {file.reason}" for file in report.unread_files]
            _print_problems("file cannot be read", unread)
            if report.changed_files:
                # A file found by its content alone may have its old size and time.
                words = ("SOURCE", "--check-content") if content else ("SOURCE",)
                again = advised("index", *words, gallery=opened.path)
                console.print(f"{again} embeds changed files again", style="dim")
    if not report.ok:
        raise typer.Exit(EXIT_PROBLEMS)


def _print_problems(what: str, problems: Sequence[str]) -> None:
    from cbir.cli.console import out, printable

    for problem in problems[:PROBLEMS_SHOWN]:
        out().print(f"{what}: {printable(problem)}", style="red")
    if len(problems) > PROBLEMS_SHOWN:
        out().print(f"{what}: and {len(problems) - PROBLEMS_SHOWN:,} more", style="red")
