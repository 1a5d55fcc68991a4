"""Measures how much of what one picture shows lies within another one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.opencv import opencv
from cbir.similarity.registration import Affine, whole_onto_whole

__all__ = ["covered_shares"]

SIDE = 128
"""Longer side in pixels at which shares are counted."""

FRAME_LEVELS = 10
"""Largest difference from the colour of a corner of what counts as a frame, in levels of 255."""

MIN_CONTENT = 0.05
"""Least share that is no frame; below, the frame counts as shown, too."""


def covered_shares(first: Pixels, second: Pixels, model: Affine) -> tuple[float, float]:
    """Share of the first that lies within the second, and the reverse.

    uint8 RGB (H, W, 3), and the map of the first onto the second in their pixels. Bars, corners of
    a turned picture, and margins of one colour are not counted: whoever lacks them lacks nothing.
    """
    return _covered(first, second, model), _covered(
        second, first, np.linalg.inv(model).astype(np.float64)
    )


def _covered(picture: Pixels, other: Pixels, model: Affine) -> float:
    cv2 = opencv()
    share = min(1.0, SIDE / max(picture.shape[:2]))
    size = tuple(max(1, round(side * share)) for side in picture.shape[1::-1])
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    rows, columns = np.nonzero(_content(small))
    places = np.stack([columns, rows, np.ones_like(rows)]).astype(np.float64)
    x, y = (model @ np.linalg.inv(whole_onto_whole(picture, small)) @ places)[:2]
    height, width = other.shape[:2]
    # Half a pixel of the small picture is not known better.
    slack = 0.75 / share * float(np.sqrt(abs(np.linalg.det(model[:2, :2]))))
    inside = (x >= -slack) & (x <= width - 1 + slack) & (y >= -slack) & (y <= height - 1 + slack)
    return float(inside.mean())


def _content(picture: Pixels) -> npt.NDArray[np.bool_]:
    """Pixels (H, W) of a small picture that are not connected to a corner by one colour."""
    cv2 = opencv()
    height, width = picture.shape[:2]
    frame = np.zeros((height + 2, width + 2), np.uint8)
    levels = (FRAME_LEVELS,) * 3
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        cv2.floodFill(np.ascontiguousarray(picture), frame, corner, 0, levels, levels, flags)
    content = frame[1:-1, 1:-1] == 0
    return content if content.mean() >= MIN_CONTENT else np.ones_like(content)
