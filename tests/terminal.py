"""The command line, run in this process as `cbir ARGUMENTS` would be."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from cbir.cli import main


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


def cbir(*arguments: object, stdin: bytes = b"") -> Run:
    """Run one command; `stdin` is what is piped into it."""
    out, err = io.StringIO(), io.StringIO()
    piped = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        patch.object(sys, "argv", ["cbir", *map(str, arguments)]),
        patch.object(sys, "stdin", piped),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return Run(code, out.getvalue(), err.getvalue())
