"""Converts views and regions of an upright image to boxes in the stored pixels."""

from __future__ import annotations

from cbir.config import Preprocessing, Region, View

__all__ = ["SIDEWAYS", "WHOLE_IMAGE", "Box", "fit", "view_boxes"]

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels."""

WHOLE_IMAGE: Region = (0.0, 0.0, 1.0, 1.0)
"""The region that is the whole image."""
SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations in which width and height are exchanged."""
_RUNS_LEFT = frozenset({2, 3, 7, 8})  # the stored x axis runs against an upright one
_RUNS_UP = frozenset({3, 4, 6, 7})  # the stored y axis does


def view_boxes(
    region: Region,
    full: tuple[int, int],
    end: tuple[float, float],
    orientation: int,
    preprocessing: Preprocessing,
) -> dict[View, Box]:
    """The box of each view of a region, in decoded pixels.

    `region` is relative to the upright image, `full` is the size of the stored image, `end` its
    right and lower edge in the decoded pixels.
    """
    x, y, w, h = region
    if orientation in SIDEWAYS:
        x, y, w, h = y, x, h, w
    if orientation in _RUNS_LEFT:
        x = 1 - x - w
    if orientation in _RUNS_UP:
        y = 1 - y - h
    scale = preprocessing.resize / min(w * full[0], h * full[1])
    crop = preprocessing.crop
    # Rounding must not extend a region beyond the image.
    x_low, x_high = max(0.0, x * end[0]), min(end[0], (x + w) * end[0])
    y_low, y_high = max(0.0, y * end[1]), min(end[1], (y + h) * end[1])
    left, right = _centre(
        round(w * full[0] * scale), crop, x_high - x_low, orientation in _RUNS_LEFT
    )
    top, bottom = _centre(round(h * full[1] * scale), crop, y_high - y_low, orientation in _RUNS_UP)
    right, bottom = min(x_high, x_low + right), min(y_high, y_low + bottom)
    square = x_low + left, y_low + top, right, bottom
    return {"crop": square, "whole": (x_low, y_low, x_high, y_high), "zoom": _middle(*square)}


def _centre(scaled: int, crop: int, end: float, reverse: bool) -> tuple[float, float]:
    """Start and stop of the centre `crop` of `scaled` pixels, on an axis that ends at `end`.

    An odd remainder cannot be halved: its larger part lies after the crop in the upright image,
    so before it on an axis that is stored in reverse.
    """
    start = (scaled - crop + int(reverse)) // 2
    return max(0.0, start * end / scaled), min(end, (start + crop) * end / scaled)


def _middle(left: float, top: float, right: float, bottom: float) -> Box:
    """The middle half of a box, by area."""
    cut = (1 - 0.5**0.5) / 2
    dx, dy = cut * (right - left), cut * (bottom - top)
    return left + dx, top + dy, right - dx, bottom - dy


def fit(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """(width, height) scaled down so that the longer side is at most `max_side`."""
    scale = min(1.0, max_side / max(size)) if max_side else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
