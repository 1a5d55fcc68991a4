"""The process of a command: its streams, its signals, and the exit codes of both."""

from __future__ import annotations

import codecs
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["EXIT_CLOSED_PIPE", "Signals", "abandon_output", "plain_streams", "signals"]

EXIT_CLOSED_PIPE = 141
"""As of a program that SIGPIPE ends: nobody reads the output any more."""
IMPATIENT_S = 1.0
"""Seconds after a signal in which the same one is a repetition; a later one ends the process."""

PLAIN = {
    **{"→": "->", "←": "<-", "↔": "<->", "·": "-", "–": "-", "—": "-", "−": "-", "×": "x"},
    **{"…": "...", "━": "#", "─": "-", "│": "|", "≤": "<=", "≥": ">=", "±": "+-", "°": " deg"},
    **{"√": "sqrt ", "µ": "u", "μ": "u", "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " "},
}
"""Characters of messages in ASCII, for terminals without them; all others become escapes."""


def plain_streams() -> None:
    """Let standard output and error take any text, whatever their encoding.

    A stream that is closed is replaced by one that discards what it is given.
    """
    codecs.register_error("cbir-plain", _plain)
    with suppress(OSError):
        # Or else the next file that is opened would be the output of some library.
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            # Python itself takes the C locale for UTF-8, which its terminal may not be.
            only_ascii = os.environ.get("LC_ALL") in ("C", "POSIX") and not _encoding_is_set()
            stream.reconfigure(encoding="ascii" if only_ascii else None, errors="cbir-plain")


def _encoding_is_set() -> bool:
    return bool(os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8"))


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or _escaped(c) for c in text), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


def abandon_output() -> None:
    """Discard what standard output still holds: it cannot be written, and exiting would try."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Signals:
    """The signals that end a command; each is raised as a KeyboardInterrupt in the main thread.

    Code that is interrupted by Ctrl-C commits or removes what it has begun, and so it does when it
    is terminated. A signal that comes again after IMPATIENT_S ends the process at once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._at = 0.0

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal, as shells report it; that of Ctrl-C without any."""
        return 128 + (self.received or signal.SIGINT)

    def handle(self, number: int, _frame: Any) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._at = number, now
            raise KeyboardInterrupt
        if now - self._at > IMPATIENT_S:
            os._exit(self.exit_code)


@contextmanager
def signals() -> Iterator[Signals]:
    """Handles the signals that end a command, except those that the caller ignores."""
    received = Signals()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, received.handle)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
