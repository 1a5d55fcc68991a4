"""Trying again what a network may have failed at by chance."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cbir.errors import ImageError

__all__ = ["ATTEMPTS", "TransientError", "stop_at", "with_retries"]

log = logging.getLogger(__name__)

ATTEMPTS = 4
FIRST_WAIT_S = 0.5
"""Doubled before every further attempt, less up to a half at random: not all come back at once."""
LONGEST_WAIT_S = 60.0
"""A server that asks for more is not waited for."""

T = TypeVar("T")

_thread = threading.local()


class TransientError(Exception):
    """A failure that may be gone with the next attempt; its text is the reason."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        """`wait_s` is how long the server asks to be left alone."""
        super().__init__(reason)
        self.wait_s = wait_s


def stop_at(event: threading.Event) -> None:
    """Have this thread wait no longer, and try nothing again, once the event is set."""
    _thread.stop = event


def with_retries(attempt: Callable[[], T], *, attempts: int | None = None) -> T:
    """What `attempt` returns, called again after a TransientError. Raises ImageError in the end."""
    attempts = attempts or ATTEMPTS
    for number in range(attempts):
        try:
            return attempt()
        except TransientError as failure:
            asked = failure.wait_s or 0.0
            if asked > LONGEST_WAIT_S:
                raise ImageError(f"{failure}, and to wait {asked:,.0f} s") from failure
            if number == attempts - 1:
                raise ImageError(f"{failure} ({attempts} attempts)") from failure
            wait = max(asked, FIRST_WAIT_S * 2**number * random.uniform(0.5, 1.0))
            log.info("%s; again in %.1f s", failure, wait)
            stop: threading.Event | None = getattr(_thread, "stop", None)
            if stop is None:
                time.sleep(wait)
            elif stop.wait(wait):
                raise ImageError(f"{failure}, and nobody waits any longer") from failure
    raise AssertionError("unreachable")
