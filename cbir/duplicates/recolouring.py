"""Of two images laid on one another: is it the same thing in another colour or pattern?

Other light changes each channel by a gain and an offset, everywhere alike. What was coloured
otherwise, before a backdrop that stayed, no such change explains, though every edge is where it
was; text laid over a picture has edges of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbir.similarity.colour_cast import limited_cast
from cbir.similarity.correlation import VARIANCE_FLOOR, Correlation, Floats
from cbir.similarity.opencv import opencv

__all__ = ["recoloured", "repatterned"]

CELL = 5
"""Pixels of 96: colours are compared as means over so many, which noise and blur leave alone."""

LEVELS = 7.0
"""Of 255: compression and noise change the colour of a cell less."""

MAX_OFFSET = 30.0
"""Levels of 255, with a gain of 1 and near it: brighter, or of less contrast."""

MAJORITY, ROUNDS = 0.8, 3
"""The light is estimated from so many of the cells, those that it explains best."""

UNCOLOURED = 6.0
"""Levels between the channels of a picture in grey, once it was compressed."""

SAME_EDGES, OTHER_EDGES = 0.9, 0.8
"""Local correlation."""

TEXTURED = 100.0
"""Variance from which there is something to be seen in a window."""

Mask = npt.NDArray[np.bool_]


def recoloured(a: Floats, b: Floats, where: Mask, local: Correlation) -> float:
    """The share of the overlap that has the same edges and, in any light, another colour.

    Two images (H, W, 3), compared where `where` (H, W) is true.
    """
    first, second = _cells(a, where), _cells(b, where)
    if _is_grey(first) != _is_grey(second):
        first, second = _greyed(first), _greyed(second)
    differs = np.maximum(_unexplained(first, second), _unexplained(second, first)) > LEVELS
    return float((differs & (local.values[where] > SAME_EDGES)).mean())


def repatterned(local: Correlation) -> float:
    """Of where there is something to be seen, the share that has other edges."""
    textured = local.counted & (np.maximum(local.variance_a, local.variance_b) > TEXTURED)
    if not textured.any():
        return 0.0
    return float((local.values[textured] < OTHER_EDGES).mean())


def _cells(image: Floats, where: Mask) -> Floats:
    """Mean colours about each place of the overlap: (N, 3)."""
    cv2 = opencv()
    mask = where.astype(np.float32)
    weight = np.maximum(cv2.blur(mask, (CELL, CELL)), 1e-6)
    means = cv2.blur(image * mask[..., None], (CELL, CELL)) / weight[..., None]
    return np.asarray(means[where], np.float32)


def _is_grey(cells: Floats) -> bool:
    return bool(np.quantile(np.ptp(cells, axis=1), 0.98) < UNCOLOURED)


def _greyed(cells: Floats) -> Floats:
    grey = cells @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(grey[:, None], 3, axis=1)


def _unexplained(a: Floats, b: Floats) -> Floats:
    """How far each colour of a is from that of b, once the light is made the same: (N,)."""
    majority = np.ones(len(a), bool)
    for _ in range(ROUNDS):
        gain, offset = _light(a[majority], b[majority])
        lit = np.clip(gain * a + offset, 0, 255)
        distances = np.sqrt(((lit - b) ** 2).mean(axis=1))
        majority = distances <= np.quantile(distances, MAJORITY)
    return np.asarray(distances, np.float32)


def _light(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """By channel what a is multiplied by, and what is then added, to be like b."""
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    covariance = ((a - mean_a) * (b - mean_b)).mean(axis=0)
    gain = limited_cast(
        (covariance + VARIANCE_FLOOR) / (((a - mean_a) ** 2).mean(axis=0) + VARIANCE_FLOOR)
    )
    return gain, np.clip(mean_b - gain * mean_a, -MAX_OFFSET, MAX_OFFSET)
