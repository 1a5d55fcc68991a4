"""`cbir duplicates`: copies within a gallery, and new files that a gallery has already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cbir.cli.options import (
    DEFAULT_GALLERY,
    EXIT_SOME_FAILED,
    GalleryOption,
    JsonOption,
    UsageError,
    interruptible,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cbir.duplicates import Duplicates, KnownFile, SourceComparison
    from cbir.duplicates.script import Removal
    from cbir.gallery import Gallery
    from cbir.types import FailedImage, StageProgress

GROUPS_SHOWN = 20
COPIES_SHOWN = 10
FAILURES_SHOWN = 5


def register(app: typer.Typer) -> None:
    app.command()(duplicates)


def duplicates(
    items: Annotated[
        Optional[list[str]],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Argument(
            help="With --against: a folder of new images. With --dismiss: id:N, files, keys.",
            metavar="[NEWFOLDER | IMAGE...]",
        ),
    ] = None,
    gallery: GalleryOption = DEFAULT_GALLERY,
    against: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Which images of NEWFOLDER this gallery has.", metavar="DIR"),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Lay similar pairs on one another: crops, frames, turns."),
    ] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write all groups: .csv, .json or .html.", metavar="FILE"),
    ] = None,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write a page that shows them.", metavar="FILE"),
    ] = None,
    script: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write a shell script that would remove the copies.", metavar="FILE"),
    ] = None,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Remember: no two of these IMAGEs are duplicates.")
    ] = False,
    undismiss: Annotated[
        bool, typer.Option("--undismiss", help="Forget that; without IMAGEs forget all.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find copies of images: in a gallery, or of NEWFOLDER in the gallery of --against.

    The same bytes; the same whole picture, however large, compressed, recoloured, mirrored or
    turned by right angles, or with text over it; with --verify parts of pictures, too. Nothing is
    removed: --script writes what you may run. What is made of each image for it is kept. Exit
    code 3: some images could not be read.
    """
    from cbir.cli.console import stage_lines
    from cbir.gallery import Gallery

    items = items or []
    if dismiss and undismiss:
        raise UsageError("--dismiss and --undismiss are opposites; give one of them")
    if (dismiss or undismiss) and (against or verify or out or html or script):
        raise UsageError("--dismiss and --undismiss only note what you know; leave the others out")
    if dismiss or undismiss:
        with Gallery.open(gallery) as opened:
            _note(opened, items, forget=undismiss, json=json)
        return
    if bool(items) != (against is not None) or len(items) > 1:
        raise UsageError(
            "NEWFOLDER and --against GALLERY go together, one of each; without both, the "
            "duplicates within the gallery of -g are found"
        )
    _check_endings(out)
    with Gallery.open(against or gallery) as opened:
        with interruptible("computed"), stage_lines() as progress:
            found = _find(opened, items, verify=verify, progress=progress)
        _write(found, opened, out=out, html=html, script=script)
    _report(found, json=json, verify=verify, written=[p for p in (out, html, script) if p])
    if found.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _find(
    gallery: Gallery, items: Sequence[str], *, verify: bool, progress: StageProgress
) -> Duplicates | SourceComparison:
    from cbir.duplicates import find_duplicates, find_known

    if items:
        return find_known(items[0], gallery, verify=verify, progress=progress)
    return find_duplicates(gallery, verify=verify, progress=progress)


def _check_endings(out: Path | None) -> None:
    """Before long work, not after it."""
    if out is not None and out.suffix.lower() not in (".csv", ".json", ".html"):
        raise UsageError(f"{out} is of no known format; name it .csv, .json or .html")


def _write(
    found: Duplicates | SourceComparison,
    gallery: Gallery,
    *,
    out: Path | None,
    html: Path | None,
    script: Path | None,
) -> None:
    from cbir.duplicates import (
        SourceComparison,
        export_duplicates,
        removals_of,
        removals_of_known,
        write_script,
    )
    from cbir.pages.duplicates_page import write_duplicates_page

    pages = [path for path in (out, html) if path is not None and _is_page(path, html)]
    for page in pages:
        write_duplicates_page(page, found, title=f"duplicates in {gallery.path}")
    if out is not None and out not in pages:
        export_duplicates(found, out)
    if script is not None:
        removals: Iterable[list[Removal]]
        if isinstance(found, SourceComparison):
            removals = removals_of_known(found.known)
        else:
            removals = removals_of(found.groups)
        write_script(script, removals)


def _is_page(path: Path, html: Path | None) -> bool:
    return path == html or path.suffix.lower() == ".html"


def _note(gallery: Gallery, items: Sequence[str], *, forget: bool, json: bool) -> None:
    """Remember or forget that images are no duplicates of one another."""
    from itertools import combinations

    from cbir.cli.console import print_json

    catalog = gallery.catalog
    if len(items) == 1 or (not items and not forget):
        raise UsageError("two images and more are no duplicates of one another, as id:3 id:7")
    ids = [gallery.find(item).id for item in items]
    pairs = list(combinations(ids, 2)) if ids else catalog.dismissed()
    count = catalog.undismiss(pairs) if forget else catalog.dismiss(pairs)
    total = len(catalog.dismissed())
    if json:
        print_json({"undismissed" if forget else "dismissed": count, "pairs": total})
    else:
        done = "forgotten" if forget else "dismissed"
        typer.echo(f"{done}: {count:,} {_plural(count, 'pair')}   {total:,} dismissed in all")


def _report(
    found: Duplicates | SourceComparison, *, json: bool, verify: bool, written: Sequence[Path]
) -> None:
    from cbir.cli.console import out, print_json
    from cbir.duplicates import SourceComparison
    from cbir.duplicates.export import as_json

    if json:
        print_json(as_json(found) | {"written": [str(path) for path in written]})
        return
    if isinstance(found, SourceComparison):
        _print_known(found)
    else:
        _print_groups(found)
    _print_failures(found.failed)
    for path in written:
        out().print(f"written: {path}")
    if not verify:
        out().print("--verify also finds parts of pictures, frames and slight turns", style="dim")


def _print_groups(found: Duplicates) -> None:
    from cbir.cli.console import out, print_columns, printable
    from cbir.duplicates.export import surest
    from cbir.pages.duplicates_page import describe, file_size

    rows: list[tuple[str, ...]] = []
    for number, group in enumerate(found.page(0, GROUPS_SHOWN), 1):
        for image in group.images[: COPIES_SHOWN + 1]:
            kept = image is group.keeper
            one = None if kept else surest(group, image)
            rows.append(
                (
                    str(number) if kept else "",
                    "keep" if kept else "copy",
                    str(image.id),
                    f"{image.width} × {image.height}",
                    file_size(image.size),
                    printable(image.name),
                    "" if one is None else describe(one),
                )
            )
        if len(group.images) > COPIES_SHOWN + 1:
            rows.append(("", *[""] * 4, f"and {len(group.others) - COPIES_SHOWN:,} more", ""))
    if rows:
        print_columns(("#", "", "id", "pixels", "file", "image", "why"), rows, align="><>>><<")
    console = out()
    if len(found.groups) > GROUPS_SHOWN:
        console.print(f"and {len(found.groups) - GROUPS_SHOWN:,} more groups; --out lists them all")
    groups = f"{len(found.groups):,} {_plural(len(found.groups), 'group')}"
    could_go = f"{found.redundant:,} of {found.images:,} images could go"
    console.print(
        f"{groups}   {could_go} ({file_size(found.bytes_saved)})   in {found.seconds:,.1f} s"
    )


def _print_known(found: SourceComparison) -> None:
    from cbir.cli.console import out, print_columns, printable
    from cbir.pages.duplicates_page import describe

    if found.known:
        print_columns(
            ("new file", "in the gallery", "id", "why"),
            [_known_row(one, printable, describe) for one in found.known[:GROUPS_SHOWN]],
            align="<<><",
        )
    console = out()
    if len(found.known) > GROUPS_SHOWN:
        console.print(f"and {len(found.known) - GROUPS_SHOWN:,} more; --out lists them all")
    files = len(found.known) + len(found.new)
    console.print(
        f"{len(found.known):,} of {files:,} images are in the gallery already   "
        f"in {found.seconds:,.1f} s"
    )


def _known_row(one: KnownFile, printable: Any, describe: Any) -> tuple[str, ...]:
    return (
        printable(one.name),
        printable(one.image.name),
        str(one.image.id),
        describe(one.evidence),
    )


def _print_failures(failed: Sequence[FailedImage]) -> None:
    from cbir.cli.console import out, printable

    for failure in failed[:FAILURES_SHOWN]:
        out().print(
            f"not compared  {printable(failure.uri)}: {printable(failure.reason)}", style="red"
        )
    if len(failed) > FAILURES_SHOWN:
        out().print(f"not compared  and {len(failed) - FAILURES_SHOWN:,} more", style="red")


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
