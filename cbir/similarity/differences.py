"""Differences of two pictures laid over each other, counted where they are.

Around each pixel the two are compared within a window. Noise of compression and resampling is small
where the picture is flat, and in proportion to the structure where there is some; another letter,
line or thing leaves a residual as large as the structure itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.similarity.correlation import Floats
from cbir.similarity.opencv import opencv
from cbir.similarity.registration import Overlaid

__all__ = ["Differences", "differences"]

WINDOW = 7
"""Side in pixels of the windows."""

MIN_VARIANCE, NOISES = 24.0, 4.0
"""Least variance (levels of 255, squared) of a window with structure, or as much as so many times
the noise."""

MAX_NOISE = 30.0
"""Largest variance taken for noise from the quieter half of the windows rather than a quarter."""

SAMPLED = 5
"""One window in so many is looked at for the noise."""

BORDER = 6
"""Pixels along the border that are not compared: there each program resamples in its way."""

RINGING, RINGING_REACH = 0.03, 17
"""Share of the variance of a window that compression spreads around it, and how far, in pixels."""

OTHER, OTHER_PRINT = 0.6, 0.73
"""Correlation of two windows below which they show different things; and where both are printed:
letters like 6 and 8 correlate, and print saved again does better."""

MIN_COLOUR = 36.0
"""Least difference of the mean colours of two windows, in levels of 255."""

CHANGED_LIGHT, WHITE = 0.05, 245.0
"""Gain of a channel by which the light counts as changed, and the level from which a channel may
have been clipped."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Where two pictures differ, and how much there is to compare."""

    other: Mask
    """(H, W): pixels whose windows show different things."""
    structured: Mask
    """(H, W): pixels whose windows show anything but a flat colour."""
    correlation: Floats
    """(H, W): of the windows, from -1 to 1."""
    noise: float
    """Variance that noise leaves in windows without structure."""

    @property
    def area(self) -> int:
        """Number of pixels of the largest connected difference."""
        if not self.other.any():
            return 0
        _, _, stats, _ = opencv().connectedComponentsWithStats(self.other.astype(np.uint8))
        return int(stats[1:, 4].max())


def differences(pair: Overlaid, *, printed: bool = False) -> Differences:
    """Compare two pictures laid over each other; `printed` ones more strictly."""
    cv2 = opencv()
    forward, backward = _residual(pair.forward, pair.second), _residual(pair.backward, pair.first)
    residual = np.minimum(forward[0], backward[0])
    colour = np.minimum(forward[1], backward[1])
    border = np.ones((2 * BORDER + 1, 2 * BORDER + 1), np.uint8)
    colour[_clipped(pair)] = 0
    inside = cv2.erode(pair.inside.astype(np.uint8), border, borderValue=0) > 0
    noise = _noise(residual[inside]) if inside.any() else 0.0
    a, b = _grey(pair.forward), _grey(pair.second)
    mean_a, mean_b = _mean(a), _mean(b)
    variance_a = np.maximum(_mean(a * a) - mean_a * mean_a, 0)
    variance_b = np.maximum(_mean(b * b) - mean_b * mean_b, 0)
    covariance = _mean(a * b) - mean_a * mean_b
    floor = MIN_VARIANCE / 2 + noise
    correlation = (covariance + floor) / np.sqrt((variance_a + floor) * (variance_b + floor))
    variance = np.maximum(variance_a, variance_b)
    around = cv2.dilate(variance, np.ones((RINGING_REACH, RINGING_REACH), np.uint8))
    least = MIN_VARIANCE + NOISES * noise
    structured = (variance > least) & inside
    other = (
        structured
        & (residual > least + RINGING * around)
        & (correlation < (OTHER_PRINT if printed else OTHER))
    ) | (inside & (colour > MIN_COLOUR))
    return Differences(other, structured, np.asarray(correlation, np.float32), noise)


def _clipped(pair: Overlaid) -> Mask:
    """Pixels that another light has made white in one picture: their colour cannot be told."""
    lit = np.abs(pair.gain - 1).max() > CHANGED_LIGHT
    brightest = np.maximum(_largest(pair.first), _largest(pair.second))
    return np.asarray((brightest > WHITE) & lit)


def _noise(residual: Floats) -> float:
    """Variance of the noise, from windows (N,), at least half of which show the same."""
    quarter, half = np.quantile(residual[::SAMPLED], (0.25, 0.5))
    return float(max(quarter, min(half, MAX_NOISE)))


def _mean(plane: Floats) -> Floats:
    return np.asarray(opencv().blur(plane, (WINDOW, WINDOW)), np.float32)


def _grey(image: Floats) -> Floats:
    return np.asarray(opencv().cvtColor(image, opencv().COLOR_RGB2GRAY), np.float32)


def _residual(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Mean squared difference of each window, and difference of its mean colours: (H, W) each."""
    cv2 = opencv()
    difference = cv2.subtract(a, b)
    energy = _largest(_mean(cv2.multiply(difference, difference)))
    return energy, _largest(cv2.absdiff(_mean(difference), (0.0, 0.0, 0.0, 0.0)))


def _largest(image: Floats) -> Floats:
    """The largest of the three channels: (H, W, 3) → (H, W)."""
    cv2 = opencv()
    red, green, blue = cv2.split(image)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.float32)
