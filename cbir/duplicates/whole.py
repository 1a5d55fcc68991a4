"""Whether two images are the same whole picture, by what is kept of each in little.

Measured on 200 photographs and 4,000 altered versions of them, and on neighbours among other
photographs (corel1k, groceries, buildings, CD covers), of which the likest were taken within
seconds: copies differ in at most 24 of 255 bits unless something was laid over them, the others
in 36 and more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.similarity.perceptual_hash import PerceptualHashes, nearest_orientation
from cbir.similarity.tiny import TinyAgreement, TinyImages, compare_tiny

__all__ = ["FORM_NAMES", "Whole", "same_pictures"]

NEAR_BITS = 28
OVERLAID_BITS = 48
"""Text over a picture changes up to 45 bits; then all else must agree the more."""
MEAN, MEDIAN, COLOUR = 0.89, 0.92, 10.0
OVERLAID_MEAN, OVERLAID_MEDIAN, OVERLAID_COLOUR = 0.8, 0.992, 14.0
"""Correlations, and levels of 255: a colour cast leaves a difference of 8, text one of 12, the
same thing in another colour mostly 14 and more."""

PAIRS_AT_ONCE = 65_536

FORM_NAMES = (
    *("", "mirrored", "mirrored", "turned by 180°"),
    *("mirrored and turned", "turned by 90°", "turned by 90°", "mirrored and turned"),
)
"""By the numbers of `cbir.similarity.tiny`."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Two rows that show the same whole picture."""

    first: int
    second: int
    bits: int
    form: int


def same_pictures(
    pairs: npt.NDArray[np.int64],
    queries: tuple[TinyImages, PerceptualHashes],
    pictures: tuple[TinyImages, PerceptualHashes],
) -> Iterator[Whole]:
    """Those of the pairs (P, 2) of rows, of `queries` and of `pictures`, that are the same."""
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        forms, bits = nearest_orientation(
            queries[1].bits[:, part[:, 0]], pictures[1].bits[0][part[:, 1]]
        )
        for i in np.flatnonzero(bits <= OVERLAID_BITS):
            first, second = (int(row) for row in part[i])
            whole = Whole(first, second, int(bits[i]), int(forms[i]))
            if _agree(queries[0][first], pictures[0][second], whole):
                yield whole


def _agree(first: TinyImages, second: TinyImages, whole: Whole) -> bool:
    found = compare_tiny(first, second, whole.form)
    if whole.bits <= NEAR_BITS and _holds(found, MEAN, MEDIAN, COLOUR):
        return True
    return _holds(found, OVERLAID_MEAN, OVERLAID_MEDIAN, OVERLAID_COLOUR)


def _holds(found: TinyAgreement, mean: float, median: float, colour: float) -> bool:
    return found.mean >= mean and found.median >= median and found.colour <= colour
