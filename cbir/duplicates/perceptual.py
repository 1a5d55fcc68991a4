"""Near duplicates: whole images with similar perceptual hashes and similar tiny images.

The thresholds come from 200 photographs with 4,000 altered versions, and from neighbours by
embedding among different photographs (Corel 1k, groceries, buildings, CD covers), the nearest of
which were taken within seconds: copies differ in at most 24 of 255 bits, unless text was laid over
them, and different photographs in 36 or more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.similarity.perceptual_hash import PerceptualHashes, nearest_orientation
from cbir.similarity.tiny import TinyAgreement, TinyImages, compare_tiny

__all__ = ["ORIENTATION_NAMES", "PerceptualMatch", "orient_pairs", "perceptual_matches"]

NEAR_BITS = 28
"""Most differing bits of two versions of an image."""

OVERLAID_BITS = 48
"""Most differing bits with text over one of them, which changes up to 45; all else must then agree
more closely."""

MEAN, MEDIAN, COLOUR = 0.89, 0.92, 10.0
OVERLAID_MEAN, OVERLAID_MEDIAN, OVERLAID_COLOUR = 0.8, 0.992, 14.0
"""Least correlations, and most levels of 255 between colours: a colour cast leaves a difference of
8, text one of 12, the same thing in another colour mostly 14 and more."""

PAIRS_AT_ONCE = 65_536

ORIENTATION_NAMES = (
    *("", "mirrored", "mirrored", "turned by 180°"),
    *("mirrored and turned", "turned by 90°", "turned by 90°", "mirrored and turned"),
)
"""By the numbers of `cbir.similarity.tiny.ORIENTATIONS`."""


@dataclass(frozen=True, slots=True)
class PerceptualMatch:
    """Two images that show the same whole picture."""

    first: int
    second: int
    """Indices into the hashes compared."""
    bits: int
    """Number of differing bits of 255."""
    orientation: int
    """Orientation in which the first looks like the second."""


def perceptual_matches(
    pairs: npt.NDArray[np.int64],
    first: tuple[TinyImages, PerceptualHashes],
    second: tuple[TinyImages, PerceptualHashes],
) -> Iterator[PerceptualMatch]:
    """Select the pairs (P, 2), indices into `first` and `second`, that show the same picture."""
    (first_tiny, first_hashes), (second_tiny, second_hashes) = first, second
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        first_bits = first_hashes.bits[:, part[:, 0]]
        second_bits = second_hashes.bits[0][part[:, 1]]
        orientations, bits = nearest_orientation(first_bits, second_bits)
        for i in np.flatnonzero(bits <= OVERLAID_BITS):
            a, b = (int(index) for index in part[i])
            match = PerceptualMatch(a, b, int(bits[i]), int(orientations[i]))
            if _agree(first_tiny[a], second_tiny[b], match):
                yield match


def orient_pairs(pairs: npt.NDArray[np.int64], hashes: PerceptualHashes) -> list[PerceptualMatch]:
    """The orientation in which the pictures of each pair (P, 2) are most alike."""
    orientations, bits = nearest_orientation(
        hashes.bits[:, pairs[:, 0]], hashes.bits[0][pairs[:, 1]]
    )
    return [
        PerceptualMatch(int(a), int(b), int(differing), int(orientation))
        for (a, b), differing, orientation in zip(pairs, bits, orientations, strict=True)
    ]


def _agree(first: TinyImages, second: TinyImages, match: PerceptualMatch) -> bool:
    agreement = compare_tiny(first, second, match.orientation)
    if match.bits <= NEAR_BITS and _reaches(agreement, MEAN, MEDIAN, COLOUR):
        return True
    return _reaches(agreement, OVERLAID_MEAN, OVERLAID_MEDIAN, OVERLAID_COLOUR)


def _reaches(agreement: TinyAgreement, mean: float, median: float, colour: float) -> bool:
    return agreement.mean >= mean and agreement.median >= median and agreement.colour <= colour
