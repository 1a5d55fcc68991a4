"""`cbir index --dry-run`: prints what an indexing run would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from cbir.cli.options import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from cbir.gallery import Gallery
    from cbir.sources import Source
    from cbir.types import IndexPlan

EXIT_REFUSED = 1
NAMES_SHOWN = 3


def show_plan(
    source: Source,
    gallery: Gallery | None,
    *,
    prune: bool,
    force: bool,
    retry_failed: bool,
    check_content: bool,
    multi_crop: bool,
    json: bool,
) -> int:
    """Print what indexing would do; `gallery` is None if it does not exist yet.

    Returns the exit code that the run would have, apart from damage that only decoding shows.
    """
    from cbir.cli.console import out, print_json, progress_line
    from cbir.indexing import plan_images

    with progress_line("looking", source.count()) as progress:
        plan = plan_images(
            source,
            gallery,
            prune=prune,
            force=force,
            retry_failed=retry_failed,
            check_content=check_content,
            progress=progress,
        )
    regions = _lacking_regions(gallery, multi_crop=multi_crop)
    if json:
        print_json(asdict(plan) | {"regions": regions})
    else:
        console = out()
        if regions:
            console.print(f"would embed the regions of {regions:,} images indexed before")
        for line, style in _lines(plan):
            console.print(line, style=style)
    return EXIT_REFUSED if plan.refusal else EXIT_SOME_FAILED if plan.fail else 0


def _lacking_regions(gallery: Gallery | None, *, multi_crop: bool) -> int:
    """Number of images in the gallery that would get regions."""
    if gallery is None or not (multi_crop or gallery.config.regions):
        return 0
    return len(gallery.catalog.without_regions())


def repeated_line(count: int) -> str:
    """`298 rows repeat an image`."""
    return "1 row repeats an image" if count == 1 else f"{count:,} rows repeat an image"


def _lines(plan: IndexPlan) -> Iterator[tuple[str, str | None]]:
    from cbir.cli.console import printable
    from cbir.cli.left_out import left_out_lines

    moves = [f"{before} → {after}" for before, after in plan.move]
    failures = [f"{failure.uri}: {failure.reason}" for failure in plan.fail]
    rows = [
        ("add", list(plan.add)),
        ("update", list(plan.update)),
        ("touch", list(plan.touch)),
        ("move", moves),
        ("remove", list(plan.remove)),
        ("fail", failures),
    ]
    shown = [(what, f"{len(names):,}", names) for what, names in rows if names]
    width = max((len(count) for _, count, _ in shown), default=0)
    for what, count, names in shown:
        first = ", ".join(printable(name) for name in names[:NAMES_SHOWN])
        more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
        style = "red" if what == "fail" else None
        yield f"would {what:<6}  {count:>{width}}  {first}{more}", style
    if plan.refusal:
        yield f"would end with an error: {printable(plan.refusal)}", "red"
    for line in left_out_lines(plan.left_out):
        yield printable(line), "dim"
    if plan.repeated:
        yield repeated_line(plan.repeated), "dim"
    yield f"unchanged {plan.unchanged:,}   in {plan.seconds:,.1f} s", None
    yield "nothing was written; run it without --dry-run to do it", "dim"
