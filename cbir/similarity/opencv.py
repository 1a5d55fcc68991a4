"""Imports OpenCV on first use, with as many threads as cbir may use."""

from __future__ import annotations

from functools import cache
from typing import Any

from cbir.config import available_cores

__all__ = ["opencv"]


@cache
def opencv() -> Any:
    """The module `cv2`.

    OpenCV gives its threads to one call at a time; concurrent calls of other threads run in those
    threads alone. So a single comparison uses all cores, and a pool of workers is not slowed down
    by threads within threads.
    """
    import cv2

    cv2.setNumThreads(available_cores())
    return cv2
