"""The command line. Each group of commands is a thin module of its own.

Nothing heavy is imported before a command runs: `cbir --help` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Annotated, Any, Optional

import typer

from cbir import __version__
from cbir.cli import (
    compare,
    duplicates,
    evaluate,
    gallery,
    index,
    models,
    recommend,
    search,
    serve,
    transfer,
    tune,
)
from cbir.cli.options import EXIT_INTERRUPTED, UsageError
from cbir.errors import CbirError

COLLECT_AFTER = 200_000
"""Objects made before garbage is looked for. Imports make many and drop none: at Python's own 700
they are gone through again and again, 0.03 s of a search, and once more when the process ends."""

EXIT_ERROR = 1
EXIT_USAGE = 2

# Of the click that typer brings along, or of click itself: that depends on typer's version.
_MISUSE: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="cbir",
    help="A search engine for images by their content.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: no boxes, and rich need not be imported for it.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (
    *(index, search, recommend, duplicates, serve, compare),
    *(evaluate, tune, gallery, transfer, models),
):
    module.register(app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"cbir {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        Optional[bool],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done.")] = False,
) -> None:
    import logging

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr
    )


def main() -> None:
    """Run a command; an error is one line, and never a traceback."""
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)  # what lives until the end goes with the process: 0.1 s less
    try:
        sys.exit(app(prog_name="cbir", standalone_mode=False))
    except typer.Abort:
        _fail("interrupted; what was committed stays")
        sys.exit(EXIT_INTERRUPTED)
    except CbirError as error:
        _fail(str(error))
        sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR)
    except _MISUSE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # the help itself
        else:
            command = "cbir" if error.ctx is None else error.ctx.command_path
            _fail(f"{error.format_message().rstrip('.')}; '{command} --help' lists what there is")
        sys.exit(EXIT_USAGE)


def _fail(reason: str) -> None:
    from cbir.cli.console import printable

    print(f"error: {printable(reason)}", file=sys.stderr)
