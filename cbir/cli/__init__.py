"""The command line. Each group of commands is a thin module of its own.

Nothing heavy is imported before a command runs: `cbir --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Optional

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
from cbir.errors import CbirError

EXIT_ERROR = 1

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
    """Run a command; an error of cbir's is one line, and never a traceback."""
    try:
        app()
    except CbirError as error:
        from cbir.cli.console import printable

        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
