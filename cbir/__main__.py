"""The command `cbir`, also as `python -m cbir`."""

import os
import signal
from contextlib import suppress
from typing import Any


def run() -> None:
    """Run a command. Before and after it, a signal ends the process without a traceback."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            # Not the default action, which the first process of a container does not have.
            with suppress(ValueError):  # in another thread than the main one
                signal.signal(number, _exit)

    from cbir.cli import main

    main()


def _exit(number: int, _frame: Any) -> None:
    os._exit(128 + number)


if __name__ == "__main__":
    run()
