"""OpenCV, imported on first use, with as many threads as cbir may use."""

from __future__ import annotations

from functools import cache
from typing import Any

from cbir.config import available_cores

__all__ = ["opencv"]


@cache
def opencv() -> Any:
    """The module cv2.

    OpenCV lends its threads to one call at a time; a call that comes meanwhile from another
    thread runs in that thread alone. So a single comparison has all the cores, and a pool of
    workers is not slowed down by threads within threads.
    """
    import cv2

    cv2.setNumThreads(available_cores())
    return cv2
