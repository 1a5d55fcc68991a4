"""Local correlation of two grey images: agreement of their structure around each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.similarity.opencv import opencv

__all__ = ["VARIANCE_FLOOR", "Correlation", "Floats", "local_correlation"]

Floats = npt.NDArray[np.float32]

VARIANCE_FLOOR = 20.0
"""Added to variances (grey levels squared), so that two windows without structure agree."""

COUNTED_SHARE = 0.6
"""Least share of a window in the compared area for its correlation to count."""


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Correlation of two grey images within a window around each pixel; all fields are (H, W)."""

    values: Floats
    """From -1 to 1; 1 where neither has any structure."""
    variance_a: Floats
    variance_b: Floats
    counted: npt.NDArray[np.bool_]
    """Pixels of the compared area whose window lies mostly within it."""

    def agreement(self) -> tuple[float, float]:
        """Mean and median over the counted pixels, weighted by contrast; (0, 0) without any."""
        if not self.counted.any():
            return 0.0, 0.0
        values = self.values[self.counted]
        weights = np.sqrt(self.variance_a + self.variance_b + 1.0)[self.counted]
        order = np.argsort(values)
        cumulated = np.cumsum(weights[order])
        middle = values[order][np.searchsorted(cumulated, cumulated[-1] / 2)]
        return float((values * weights).sum() / cumulated[-1]), float(middle)


def local_correlation(
    a: Floats, b: Floats, where: npt.NDArray[np.bool_], *, window: int
) -> Correlation:
    """Correlate two grey images (H, W) within windows, over the pixels where `where` is true."""
    cv2 = opencv()
    mask = where.astype(np.float32)
    share = cv2.blur(mask, (window, window))
    weight = np.maximum(share, 1e-6)

    def mean(plane: Floats) -> Floats:
        return np.asarray(cv2.blur(plane * mask, (window, window)) / weight, np.float32)

    # Around the mean squares are small, and float32 is exact enough.
    a, b = a - a.mean(), b - b.mean()
    mean_a, mean_b = mean(a), mean(b)
    variance_a = np.maximum(mean(a * a) - mean_a * mean_a, 0)
    variance_b = np.maximum(mean(b * b) - mean_b * mean_b, 0)
    covariance = mean(a * b) - mean_a * mean_b
    product = (variance_a + VARIANCE_FLOOR) * (variance_b + VARIANCE_FLOOR)
    local = np.asarray((covariance + VARIANCE_FLOOR) / np.sqrt(product), np.float32)
    return Correlation(local, variance_a, variance_b, (share > COUNTED_SHARE) & where)
