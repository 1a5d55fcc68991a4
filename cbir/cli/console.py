"""Terminal output: tables, progress lines, JSON, and text that is safe to print."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from cbir.types import FailedImage, StageProgress

BAR_CELLS = 10
FAILURES_SHOWN = 10
LOG_EVERY_S = 10.0


def printable(text: str) -> str:
    """`text` on one line, with what a terminal would interpret shown as escapes."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def out() -> Console:
    """The console for results; colour goes away with NO_COLOR or a pipe."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_json(data: Any) -> None:
    """One JSON document on standard output; ASCII, so that any name survives any terminal."""
    json.dump(data, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_columns(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, align: str, style: str = "dim"
) -> None:
    """A table without rules; `align` has one of `<` and `>` per column."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    console = out()
    for number, row in enumerate(table):
        cells = [f"{cell:{a}{w}}" for cell, a, w in zip(row, align, widths, strict=True)]
        console.print("  ".join(cells).rstrip(), style=style if number == 0 else None)


def print_failures(failed: Sequence[FailedImage], what: str = "failed") -> None:
    """Print the first few images that could not be read, and the number of the others."""
    for failure in failed[:FAILURES_SHOWN]:
        line = f"{what}  {printable(failure.uri)}: {printable(failure.reason)}"
        out().print(line, style="red")
    if len(failed) > FAILURES_SHOWN:
        out().print(f"{what}  and {len(failed) - FAILURES_SHOWN:,} more", style="red")


def similarity_bar(similarity: float) -> str:
    """A bar for a cosine similarity; empty for a negative one."""
    cells = round(BAR_CELLS * max(0.0, min(1.0, similarity)))
    return "━" * cells + " " * (BAR_CELLS - cells)


class _Rate:
    """Images per second since the first report: opening the network is not counted."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int) -> float:
        now = time.perf_counter()
        if self._first is None:
            self._first = now, done
        started, before = self._first
        return (done - before) / (now - started) if now > started else 0.0


@contextmanager
def progress_line(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress line: live on a terminal, elsewhere printed every ten seconds.

    Yields a function that takes the number of images done so far.
    """
    if sys.stderr.isatty():
        yield from _live(what, total)
    else:
        yield from _logged(what, total)


def _live(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    rate = _Rate()
    columns = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(separator=" / "),
        BarColumn(20),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")

        def update(done: int) -> None:
            speed = f"{rate(done):,.0f} images/s"
            bar.update(task, completed=done, total=max(total, done), rate=speed)

        yield update


def _logged(what: str, total: int) -> Iterator[Callable[[int], None]]:
    rate, last = _Rate(), time.perf_counter()

    def update(done: int) -> None:
        nonlocal last
        now, speed = time.perf_counter(), rate(done)
        if now - last >= LOG_EVERY_S:
            last = now
            left = f"{(total - done) / speed:,.0f} s left" if speed else ""
            print(
                f"{what} {done:,} / {total:,}  {speed:,.0f} images/s  {left}",
                file=sys.stderr,
                flush=True,
            )

    yield update


@contextmanager
def stage_lines() -> Iterator[StageProgress]:
    """Progress lines of work in stages; yields the callback that reports progress."""
    with ExitStack() as stack:
        current, update = "", None

        def progress(stage: str, done: int, total: int) -> None:
            nonlocal current, update
            if stage != current or update is None:
                stack.close()
                current, update = stage, stack.enter_context(progress_line(stage, total))
            update(done)

        yield progress
