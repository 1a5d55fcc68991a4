"""Retries of network requests after transient failures."""

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
"""Wait before the second attempt, in seconds; doubled before each later one, and shortened by up
to half at random, so that clients spread out."""
LONGEST_WAIT_S = 60.0
"""Longest wait that a server may request, in seconds; beyond it the request fails."""

T = TypeVar("T")

_thread = threading.local()


class TransientError(Exception):
    """A failure after which a retry may succeed; its text is the reason."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        """`wait_s` is the wait that the server requests."""
        super().__init__(reason)
        self.wait_s = wait_s


def stop_at(event: threading.Event) -> None:
    """End the waits and retries of this thread once the event is set."""
    _thread.stop = event


def with_retries(attempt: Callable[[], T], *, attempts: int | None = None) -> T:
    """Result of `attempt`, retried after a TransientError. Raises ImageError after the last."""
    attempts = attempts or ATTEMPTS
    for number in range(attempts):
        try:
            return attempt()
        except TransientError as failure:
            requested = failure.wait_s or 0.0
            if requested > LONGEST_WAIT_S:
                raise ImageError(f"{failure}, and to wait {requested:,.0f} s") from failure
            if number == attempts - 1:
                raise ImageError(f"{failure} ({attempts} attempts)") from failure
            wait = max(requested, FIRST_WAIT_S * 2**number * random.uniform(0.5, 1.0))
            log.info("%s; next attempt in %.1f s", failure, wait)
            stop: threading.Event | None = getattr(_thread, "stop", None)
            if stop is None:
                time.sleep(wait)
            elif stop.wait(wait):
                raise ImageError(f"{failure}, and the run was interrupted") from failure
    raise AssertionError("unreachable")
