"""The whole picture in little: is one image a copy of another, mirrored or turned, too?

A perceptual hash: the signs of the lowest 2-D DCT coefficients (Zauner 2010 reviews the family;
here against zero instead of the median). A mirrored or turned picture has the same coefficients,
some negated, or transposed: all eight forms follow from one picture. What the hash finds is
held against the picture itself, 32 × 32 pixels of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.arrays import to_grey, to_rgb
from cbir.similarity.opencv import opencv

__all__ = [
    "BITS",
    "FORMS",
    "LITTLE_BYTES",
    "VARIANCE_FLOOR",
    "Agreement",
    "Correlation",
    "Fingerprints",
    "Floats",
    "Littles",
    "agreement",
    "fingerprints",
    "limited_cast",
    "little",
    "local_correlation",
    "nearest_form",
]

SIDE = 32
COLOUR_SIDE = 8
LITTLE_BYTES = SIDE * SIDE + 3 * COLOUR_SIDE * COLOUR_SIDE
"""What is kept of a picture: 32 × 32 grey, then 8 × 8 in colour."""

FREQUENCIES = 16
BITS = FREQUENCIES * FREQUENCIES - 1
"""Signs compared: the 16 lowest frequencies of each axis, without the mean."""

LOW = 8
"""Of them, so many of each axis are looked up: those that survive most."""

FORMS = 8
"""As it is, mirrored in x, in y, in both; then the same, transposed."""

SILENT = 4.0
"""A coefficient below this (an amplitude of 1/4 grey level) is noise of compression, and no sign
is taken of it: blank pictures are like one another."""

VARIANCE_FLOOR = 20.0
"""Added to variances (grey levels squared): where nothing is to be seen, nothing differs."""

PLAIN = 6.0
"""Levels of 255: in a picture of smaller contrast there is nothing to be seen but its colour."""

MAX_CAST = 1.5
"""Between the gain of a channel and that of all three."""

ROWS_AT_ONCE = 4096

Bits = npt.NDArray[np.bool_]
Littles = npt.NDArray[np.uint8]
"""(N, LITTLE_BYTES)"""
Floats = npt.NDArray[np.float32]


def little(image: Pixels) -> Littles:
    """An image, squashed to what is kept of it: (LITTLE_BYTES,)."""
    cv2 = opencv()
    grey = cv2.resize(to_grey(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    colour = cv2.resize(to_rgb(image), (COLOUR_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return np.concatenate([grey.ravel(), colour.ravel()]).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """The hashes of N pictures in each of the eight forms: 320 bytes for each picture."""

    bits: npt.NDArray[np.uint8]
    """(FORMS, N, 32): the signs of all frequencies, packed."""
    codes: npt.NDArray[np.uint64]
    """(FORMS, N): those of the eight lowest of each axis, 63 bits."""

    def __len__(self) -> int:
        return int(self.codes.shape[1])


def fingerprints(littles: Littles) -> Fingerprints:
    """The hashes of pictures, (N, LITTLE_BYTES), as they are and mirrored and turned."""
    bits = np.empty((FORMS, len(littles), -(-BITS // 8)), np.uint8)
    codes = np.empty((FORMS, len(littles)), np.uint64)
    powers = np.uint64(1) << np.arange(LOW * LOW - 1, dtype=np.uint64)
    for start in range(0, len(littles), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        coefficients = _coefficients(littles[part])
        for form in range(FORMS):
            formed = _formed(coefficients, form)
            bits[form, part] = np.packbits(_signs(formed), axis=1)
            codes[form, part] = (_signs(formed[:, :LOW, :LOW]) * powers).sum(axis=1)
    return Fingerprints(bits, codes)


def nearest_form(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Of P pairs: in which form the first is most like the second, and how many bits differ then.

    (FORMS, P, 32) and (P, 32) of packed bits → (P,) and (P,).
    """
    ones = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    counts = ones.astype(np.uint8)
    distances = np.stack([counts[form ^ second].sum(axis=1, dtype=np.int16) for form in first])
    form = distances.argmin(axis=0)
    return form.astype(np.int8), np.take_along_axis(distances, form[None], axis=0)[0]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two pictures agree, one of them mirrored or turned as fits best."""

    mean: float
    """Local correlation, from -1 to 1, weighed by what there is to be seen: its mean."""
    median: float
    """Its median, which what was laid over a part of the picture does not touch."""
    colour: float
    """Root mean square difference of colours, in levels of 255, once the light is made the same."""


def agreement(first: Littles, second: Littles, form: int) -> Agreement:
    """Compare two pictures, (LITTLE_BYTES,) each, the first of them seen in one of the forms."""
    grey, colour = _parts(first)
    moved, recoloured = _seen(grey, form), _seen(colour, form)
    other, other_colour = _parts(second)
    everywhere = np.ones((SIDE, SIDE), bool)
    mean, median = local_correlation(moved, other, everywhere, window=5).agreement()
    return Agreement(mean, median, _colour_difference(recoloured, other_colour))


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """How two grey images go together within windows about each pixel: (H, W) each."""

    values: Floats
    """From -1 to 1; 1 where there is nothing to be seen in either."""
    variance_a: Floats
    variance_b: Floats
    counted: npt.NDArray[np.bool_]
    """Windows of which most lies where the two were to be compared."""

    def agreement(self) -> tuple[float, float]:
        """Mean and median of those that count, each by its contrast; (0, 0) without any."""
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
    """Correlation of two grey images (H, W) within windows, of what lies where `where` is true."""
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
    return Correlation(local, variance_a, variance_b, (share > 0.6) & where)


def _parts(picture: Littles) -> tuple[Floats, Floats]:
    """Grey (SIDE, SIDE) and colour (COLOUR_SIDE, COLOUR_SIDE, 3)."""
    grey, colour = picture[: SIDE * SIDE], picture[SIDE * SIDE :]
    return (
        grey.reshape(SIDE, SIDE).astype(np.float32),
        colour.reshape(COLOUR_SIDE, COLOUR_SIDE, 3).astype(np.float32),
    )


def _seen(plane: Floats, form: int) -> Floats:
    """A plane (S, S) or (S, S, 3) in one of the forms."""
    if form & 1:
        plane = plane[:, ::-1]
    if form & 2:
        plane = plane[::-1]
    return np.ascontiguousarray(plane.swapaxes(0, 1) if form & 4 else plane)


@cache
def _basis() -> Floats:
    """The lowest rows of the orthonormal DCT-II: (FREQUENCIES, SIDE)."""
    rows = np.arange(FREQUENCIES)[:, None]
    basis = np.cos(np.pi * (2 * np.arange(SIDE) + 1) * rows / (2 * SIDE)) * (2 / SIDE) ** 0.5
    basis[0] /= 2**0.5
    return np.asarray(basis, np.float32)


def _coefficients(littles: Littles) -> Floats:
    """(N, LITTLE_BYTES) → (N, FREQUENCIES, FREQUENCIES), those of y first."""
    grey = littles[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE).astype(np.float32)
    return np.asarray(np.matmul(np.matmul(_basis(), grey), _basis().T))


def _formed(coefficients: Floats, form: int) -> Floats:
    """The coefficients of the picture in another form."""
    odd = np.where(np.arange(coefficients.shape[1]) % 2, -1, 1).astype(np.float32)
    if form & 1:
        coefficients = coefficients * odd
    if form & 2:
        coefficients = coefficients * odd[:, None]
    return coefficients.transpose(0, 2, 1) if form & 4 else coefficients


def _signs(coefficients: Floats) -> Bits:
    return np.asarray((coefficients > SILENT).reshape(len(coefficients), -1)[:, 1:])


def _colour_difference(a: Floats, b: Floats) -> float:
    """Of two planes (S, S, 3), the same both ways."""
    a, b = a.reshape(-1, 3), b.reshape(-1, 3)
    # Of a plain surface the colour is all there is: no gain may make up for another one.
    plain = max(a.std(axis=0).max(), b.std(axis=0).max()) < PLAIN
    there = (a if plain else _gain(a, b) * a) - b
    and_back = (b if plain else _gain(b, a) * b) - a
    return float(max((there**2).mean(), (and_back**2).mean()) ** 0.5)


def _gain(a: Floats, b: Floats) -> Floats:
    """What each channel of a is multiplied by to be like b: other light, but no other thing."""
    gain = (a * b).sum(axis=0) / np.maximum((a * a).sum(axis=0), 1)
    return limited_cast(gain)


def limited_cast(gain: Floats) -> Floats:
    """The gain of each channel (3,), no further from that of all three than light takes it."""
    common = np.exp(np.log(np.maximum(gain, 1e-3)).mean())
    return np.asarray(np.clip(gain, common / MAX_CAST, common * MAX_CAST), np.float32)
