"""`cbir duplicates`: finds copies within a gallery, and new files that a gallery has already."""

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
    from cbir.types import FailedImage

GROUPS_SHOWN = 20
COPIES_SHOWN = 10
ALIKE_SHOWN = 10
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
        typer.Option(help="Look for the images of NEWFOLDER in this gallery.", metavar="DIR"),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Also align similar pairs: finds crops, frames, slight turns."
        ),
    ] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write all groups: .csv, .json or .html.", metavar="FILE"),
    ] = None,
    html: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write an HTML page that shows the groups.", metavar="FILE"),
    ] = None,
    script: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write a shell script that removes the copies when run.", metavar="FILE"),
    ] = None,
    keep: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Which image of a group is kept: largest (the default), original-format, oldest, "
            "newest, or folder:PATTERN.",
            metavar="RULE",
        ),
    ] = None,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Mark these IMAGEs as no duplicates of one another.")
    ] = False,
    undismiss: Annotated[
        bool, typer.Option("--undismiss", help="Remove such marks; without IMAGEs all of them.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find copies of images: in a gallery, or of NEWFOLDER in the gallery of --against.

    Copies have the same bytes, or show the same whole picture at another size, compression or
    colour, mirrored, turned by right angles, or with text over it; with --verify also parts of
    pictures. Each pair is decided where what differs can be seen: pages, packs and signs with other
    print are none, and what cannot be told is shown as alike, not proven. Nothing is removed:
    --script writes a script for that. Descriptors computed on the way are stored in the gallery.
    Exit code 3: some images could not be read.
    """
    from cbir.cli.console import stage_lines
    from cbir.duplicates import find_duplicates, find_known, keep_rule
    from cbir.gallery import Gallery

    items = items or []
    if dismiss and undismiss:
        raise UsageError("--dismiss and --undismiss are opposites; give one of them")
    if (dismiss or undismiss) and (against or verify or out or html or script or keep):
        raise UsageError(
            "--dismiss and --undismiss go with --gallery and --json only; leave the others out"
        )
    if dismiss or undismiss:
        with Gallery.open(gallery) as opened:
            _note(opened, items, forget=undismiss, json=json)
        return
    if bool(items) != (against is not None) or len(items) > 1:
        raise UsageError(
            "NEWFOLDER and --against GALLERY go together, one of each; without both, the "
            "duplicates within the gallery of -g are sought"
        )
    if keep is not None and against is not None:
        raise UsageError("--keep goes without --against: the gallery's image is the one to keep")
    _check_format(out)
    rule = keep_rule(keep or "largest")
    with Gallery.open(against or gallery) as opened:
        with interruptible("computed"), stage_lines() as progress:
            if items:
                result: Duplicates | SourceComparison = find_known(
                    items[0], opened, verify=verify, progress=progress
                )
            else:
                result = find_duplicates(opened, verify=verify, keep=rule, progress=progress)
        _write(result, opened, out=out, html=html, script=script)
    _report(result, json=json, verify=verify, written=[p for p in (out, html, script) if p])
    if result.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _check_format(out: Path | None) -> None:
    """Check the format of --out before the long work. Raises UsageError."""
    if out is not None and out.suffix.lower() not in (".csv", ".json", ".html"):
        raise UsageError(f"{out} has no known format; name it .csv, .json or .html")


def _write(
    result: Duplicates | SourceComparison,
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
        write_duplicates_page(page, result, title=f"duplicates in {gallery.path}")
    if out is not None and out not in pages:
        export_duplicates(result, out)
    if script is not None:
        removals: Iterable[list[Removal]]
        if isinstance(result, SourceComparison):
            removals = removals_of_known(result.known)
        else:
            removals = removals_of(result.groups)
        write_script(script, removals)


def _is_page(path: Path, html: Path | None) -> bool:
    return path == html or path.suffix.lower() == ".html"


def _note(gallery: Gallery, items: Sequence[str], *, forget: bool, json: bool) -> None:
    """Mark images as no duplicates of one another, or remove such marks."""
    from itertools import combinations

    from cbir.cli.console import print_json

    catalog = gallery.catalog
    if len(items) == 1 or (not items and not forget):
        raise UsageError("name two or more images that are no duplicates, as id:3 id:7")
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
    result: Duplicates | SourceComparison, *, json: bool, verify: bool, written: Sequence[Path]
) -> None:
    from cbir.cli.console import out, print_json
    from cbir.duplicates import SourceComparison
    from cbir.duplicates.export import as_json

    if json:
        print_json(as_json(result) | {"written": [str(path) for path in written]})
        return
    if isinstance(result, SourceComparison):
        _print_known(result)
    else:
        _print_groups(result)
    _print_alike(result)
    _print_failures(result.failed)
    for path in written:
        out().print(f"written: {path}")
    if not verify:
        out().print("--verify also finds parts of pictures, frames and slight turns", style="dim")


def _print_groups(result: Duplicates) -> None:
    from cbir.cli.console import out, print_columns, printable
    from cbir.duplicates.export import surest
    from cbir.pages.duplicates_page import describe, file_size

    rows: list[tuple[str, ...]] = []
    for number, group in enumerate(result.page(0, GROUPS_SHOWN), 1):
        for image in group.images[: COPIES_SHOWN + 1]:
            is_keeper = image is group.keeper
            evidence = None if is_keeper else surest(group, image)
            rows.append(
                (
                    str(number) if is_keeper else "",
                    "keep" if is_keeper else "copy",
                    str(image.id),
                    f"{image.width} × {image.height}",
                    file_size(image.size),
                    printable(image.name),
                    "" if evidence is None else describe(evidence),
                )
            )
        if len(group.images) > COPIES_SHOWN + 1:
            rows.append(("", *[""] * 4, f"and {len(group.others) - COPIES_SHOWN:,} more", ""))
    if rows:
        print_columns(("#", "", "id", "pixels", "file", "image", "why"), rows, align="><>>><<")
    console = out()
    if len(result.groups) > GROUPS_SHOWN:
        console.print(
            f"and {len(result.groups) - GROUPS_SHOWN:,} more groups; --out FILE lists them all"
        )
    groups = f"{len(result.groups):,} {_plural(len(result.groups), 'group')}"
    redundant = f"{result.redundant:,} of {result.images:,} images could be removed"
    console.print(
        f"{groups}   {redundant} ({file_size(result.bytes_saved)})   in {result.seconds:,.1f} s"
    )
    links = sum(len(group.links) for group in result.groups)
    if links:
        console.print(f"{links:,} links to files of these groups save nothing and stay")


def _print_known(result: SourceComparison) -> None:
    from cbir.cli.console import out, print_columns, printable
    from cbir.pages.duplicates_page import describe

    if result.known:
        print_columns(
            ("new file", "in the gallery", "id", "why"),
            [_known_row(file, printable, describe) for file in result.known[:GROUPS_SHOWN]],
            align="<<><",
        )
    console = out()
    if len(result.known) > GROUPS_SHOWN:
        console.print(f"and {len(result.known) - GROUPS_SHOWN:,} more; --out FILE lists them all")
    files = len(result.known) + len(result.new)
    console.print(
        f"{len(result.known):,} of {files:,} images are in the gallery already   "
        f"in {result.seconds:,.1f} s"
    )


def _known_row(file: KnownFile, printable: Any, describe: Any) -> tuple[str, ...]:
    return (
        printable(file.name),
        printable(file.image.name),
        str(file.image.id),
        describe(file.evidence),
    )


def _print_alike(result: Duplicates | SourceComparison) -> None:
    """Print what looks alike and is not proven to be a copy."""
    from cbir.cli.console import out, print_columns, printable
    from cbir.duplicates import Duplicates

    if not result.alike:
        return
    console = out()
    if isinstance(result, Duplicates):
        rows = [(p.first.name, p.second.name, p.reason) for p in result.alike[:ALIKE_SHOWN]]
    else:
        rows = [(f.name, f.image.name, f.reason) for f in result.alike[:ALIKE_SHOWN]]
    console.print("")
    print_columns(
        ("alike, not proven", "and", "why"),
        [(printable(first), printable(second), reason) for first, second, reason in rows],
        align="<<<",
    )
    if len(result.alike) > ALIKE_SHOWN:
        console.print(f"and {len(result.alike) - ALIKE_SHOWN:,} more; --out FILE.json lists them")


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
