"""Compares aligned images: the share of one in another colour, or with another pattern.

Another light changes each channel by one gain and one offset everywhere. This does not explain a
product in another colour before the same backdrop, though its edges are the same; another pattern
has other edges, and so has text over an image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbir.similarity.colour_cast import limited_cast
from cbir.similarity.correlation import VARIANCE_FLOOR, Correlation, Floats
from cbir.similarity.opencv import opencv

__all__ = ["recoloured", "repatterned"]

CELL = 5
"""Side of the cells over which colours are averaged, in pixels of 96: noise and blur cancel out."""

MIN_DIFFERENCE = 7.0
"""Least difference of the colours of a cell, in levels of 255; compression changes them less."""

MAX_OFFSET = 30.0
"""Largest offset of other light, in levels of 255: brighter, or of less contrast."""

MAJORITY, ROUNDS = 0.8, 3
"""Share of cells, those best explained, from which the light is estimated, and repetitions."""

GREY_LEVELS = 6.0
"""Largest difference of the channels of a grey image after compression, in levels of 255."""

SAME_EDGES, OTHER_EDGES = 0.9, 0.8
"""Local correlation above which edges are the same, and below which they differ."""

TEXTURED = 100.0
"""Least variance, in levels squared, of a window with any texture."""

Mask = npt.NDArray[np.bool_]


def recoloured(a: Floats, b: Floats, where: Mask, local: Correlation) -> float:
    """Share of the overlap with the same edges in a colour that no light explains.

    Two images (H, W, 3), compared where `where` (H, W) is true.
    """
    first, second = _cell_means(a, where), _cell_means(b, where)
    if _is_grey(first) != _is_grey(second):
        first, second = _greyed(first), _greyed(second)
    differs = np.maximum(_unexplained(first, second), _unexplained(second, first)) > MIN_DIFFERENCE
    return float((differs & (local.values[where] > SAME_EDGES)).mean())


def repatterned(local: Correlation) -> float:
    """Share of the textured overlap with other edges; 0 without any texture."""
    textured = local.counted & (np.maximum(local.variance_a, local.variance_b) > TEXTURED)
    if not textured.any():
        return 0.0
    return float((local.values[textured] < OTHER_EDGES).mean())


def _cell_means(image: Floats, where: Mask) -> Floats:
    """Mean colours of the cell around each pixel of the overlap: (N, 3)."""
    cv2 = opencv()
    mask = where.astype(np.float32)
    weight = np.maximum(cv2.blur(mask, (CELL, CELL)), 1e-6)
    means = cv2.blur(image * mask[..., None], (CELL, CELL)) / weight[..., None]
    return np.asarray(means[where], np.float32)


def _is_grey(cells: Floats) -> bool:
    return bool(np.quantile(np.ptp(cells, axis=1), 0.98) < GREY_LEVELS)


def _greyed(cells: Floats) -> Floats:
    grey = cells @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(grey[:, None], 3, axis=1)


def _unexplained(a: Floats, b: Floats) -> Floats:
    """Distance of each colour of a from that of b after the light is equalised: (N,)."""
    majority = np.ones(len(a), bool)
    for _ in range(ROUNDS):
        gain, offset = _light(a[majority], b[majority])
        lit = np.clip(gain * a + offset, 0, 255)
        distances = np.sqrt(((lit - b) ** 2).mean(axis=1))
        majority = distances <= np.quantile(distances, MAJORITY)
    return np.asarray(distances, np.float32)


def _light(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Gain and offset of each channel that make a most like b: (3,) each."""
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    covariance = ((a - mean_a) * (b - mean_b)).mean(axis=0)
    gain = limited_cast(
        (covariance + VARIANCE_FLOOR) / (((a - mean_a) ** 2).mean(axis=0) + VARIANCE_FLOOR)
    )
    return gain, np.clip(mean_b - gain * mean_a, -MAX_OFFSET, MAX_OFFSET)
