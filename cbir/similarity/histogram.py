"""Colour histograms and their comparison: the colours of an image, wherever they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.arrays import to_rgb
from cbir.similarity.opencv import opencv

__all__ = ["chi_square", "hsv_histogram", "intersection", "rgb_histogram"]

Histogram = npt.NDArray[np.float64]


def rgb_histogram(image: Pixels) -> Histogram:
    """Joint colour histogram of an image: 8 × 8 × 8 bins of R, G and B, (512,), of sum 1.

    Bin 64 r + 8 g + b counts the pixels with r = R // 32, and so on.
    """
    red, green, blue = np.moveaxis(to_rgb(image) >> 5, 2, 0).astype(np.uint16)
    return _shares((red << 6) + (green << 3) + blue, 512)


def hsv_histogram(image: Pixels) -> Histogram:
    """Joint histogram of 16 hues, 4 saturations and 4 values, (256,), of sum 1.

    Bin 16 h + 4 s + v. Hue is a circle: its first bin has red in its middle, so that reds on
    both sides of it stay together. Greys have hue 0.
    """
    cv2 = opencv()
    hsv = cv2.cvtColor(to_rgb(image), cv2.COLOR_RGB2HSV_FULL)  # every channel from 0 to 255
    hue, saturation, value = np.moveaxis(hsv, 2, 0).astype(np.uint16)
    bins = ((hue + 8) % 256 // 16 << 4) + (saturation >> 6 << 2) + (value >> 6)
    return _shares(bins, 256)


def intersection(p: Histogram, q: Histogram) -> float:
    """Histogram intersection (Swain and Ballard 1991): Σ min(p, q), 1 for equal ones.

    From 0 to 1 for histograms of sum 1. Raises ValueError for different numbers of bins.
    """
    _check_pair(p, q)
    return float(np.minimum(p, q).sum())


def chi_square(p: Histogram, q: Histogram) -> float:
    """Symmetric chi-square distance: ½ · Σ (p − q)² / (p + q), 0 for equal histograms.

    A bin that is empty in both adds nothing. From 0 to 1 for histograms of sum 1. Raises
    ValueError for different numbers of bins.
    """
    _check_pair(p, q)
    total = p + q
    filled = total > 0
    return float(0.5 * np.sum((p - q)[filled] ** 2 / total[filled]))


def _shares(bins: npt.NDArray[np.uint16], count: int) -> Histogram:
    """Share of the pixels in each of `count` bins."""
    return np.bincount(bins.ravel(), minlength=count) / bins.size


def _check_pair(p: Histogram, q: Histogram) -> None:
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError(
            f"histograms of shape {p.shape} and {q.shape} cannot be compared; "
            "make both by the same function"
        )
