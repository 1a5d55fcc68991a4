"""The command line. Each group of commands is a thin module of its own.

Nothing heavy is imported before a command runs: `cbir --help` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import sys
from contextlib import suppress
from typing import Annotated, Any, Optional

import typer

from cbir import __version__
from cbir.cli import (
    compare,
    duplicates,
    evaluate,
    gallery,
    index,
    info,
    models,
    recommend,
    search,
    serve,
    transfer,
    tune,
)
from cbir.cli.options import EXIT_INTERRUPTED, UsageError
from cbir.cli.process import EXIT_CLOSED_PIPE, Signals, abandon_output, plain_streams, signals
from cbir.errors import CbirError

COLLECT_AFTER = 200_000
"""Objects allocated before the garbage collector runs. Imports allocate many and free none: at
Python's default of 700 it visits them again and again, 0.03 s of a search, and again at exit."""

EXIT_ERROR = 1
EXIT_USAGE = 2

# The usage error of click: of typer's own copy of it in some versions of typer.
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
    *(evaluate, tune, info, gallery, transfer, models),
):
    module.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cbir {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        Optional[bool],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print log messages.")] = False,
) -> None:
    import logging

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr
    )


def main() -> None:
    """Run a command; an error is one line, and never a traceback."""
    import logging

    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)  # the collector's last pass at exit would take 0.1 s
    logging.raiseExceptions = False  # a log that cannot be written is no error of the command
    plain_streams()
    with signals() as received:
        try:
            code = _run(received)
            sys.stdout.flush()
        except OSError as error:
            code = _output_failed(error)
        except KeyboardInterrupt:
            code = received.exit_code
    sys.exit(code)


def _run(received: Signals) -> int:
    """Run the command; returns its exit code. Raises OSError and KeyboardInterrupt."""
    try:
        code = app(prog_name="cbir", standalone_mode=False)
        interrupted = code == EXIT_INTERRUPTED and received.received is not None
        return received.exit_code if interrupted else int(code or 0)
    except SystemExit as stop:
        if isinstance(stop.__context__, OSError):  # typer ends itself when a pipe is closed
            raise stop.__context__ from None
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else EXIT_ERROR
    except typer.Abort:
        _fail("interrupted; what was committed stays")
        return received.exit_code
    except CbirError as error:
        _fail(str(error))
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR
    except _MISUSE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # the help itself
        else:
            command = "cbir" if error.ctx is None else error.ctx.command_path
            _fail(f"{error.format_message().rstrip('.')}; '{command} --help' shows its usage")
        return EXIT_USAGE


def _output_failed(error: OSError) -> int:
    """Report an error of a file, or of standard output; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        abandon_output()
        return EXIT_CLOSED_PIPE
    reason = error.strerror or str(error)
    try:
        print(flush=True)
    except OSError:
        abandon_output()
        _fail(f"the output cannot be written: {reason}")
    else:
        _fail(reason if error.filename is None else f"{error.filename}: {reason}")
    return EXIT_ERROR


def _fail(reason: str) -> None:
    from cbir.cli.console import printable

    with suppress(OSError):  # nowhere is left to say it
        print(f"error: {printable(reason)}", file=sys.stderr, flush=True)
