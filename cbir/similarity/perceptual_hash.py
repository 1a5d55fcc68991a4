"""Perceptual hashes by the signs of the lowest 2-D DCT coefficients, in all eight orientations.

Zauner 2010 reviews the family; here coefficients are compared with zero instead of their median. A
mirrored or turned image has the same coefficients, some of them negated, or transposed: the hashes
of all orientations follow from one tiny image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from cbir.similarity.correlation import Floats
from cbir.similarity.tiny import ORIENTATIONS, SIDE, TinyImages

__all__ = ["BITS", "LOW", "PerceptualHashes", "nearest_orientation", "perceptual_hashes"]

FREQUENCIES = 16
BITS = FREQUENCIES * FREQUENCIES - 1
"""Signs compared: the 16 lowest frequencies of each axis, without the mean."""

LOW = 8
"""Lowest frequencies of each axis in a code: most alterations leave these unchanged."""

SILENT = 4.0
"""Largest coefficient (an amplitude of 1/4 grey level) that counts as compression noise, and so
as negative: blank images have equal hashes."""

IMAGES_AT_ONCE = 4096

Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PerceptualHashes:
    """The hashes of N images in each of the eight orientations: 320 bytes per image."""

    bits: npt.NDArray[np.uint8]
    """(ORIENTATIONS, N, 32): the signs of all frequencies, packed."""
    codes: npt.NDArray[np.uint64]
    """(ORIENTATIONS, N): the signs of the eight lowest frequencies of each axis, 63 bits."""

    def __len__(self) -> int:
        return int(self.codes.shape[1])


def perceptual_hashes(tiny: TinyImages) -> PerceptualHashes:
    """Compute the hashes of tiny images (N, TINY_BYTES) in all orientations."""
    bits = np.empty((ORIENTATIONS, len(tiny), -(-BITS // 8)), np.uint8)
    codes = np.empty((ORIENTATIONS, len(tiny)), np.uint64)
    powers = np.uint64(1) << np.arange(LOW * LOW - 1, dtype=np.uint64)
    for start in range(0, len(tiny), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        coefficients = _coefficients(tiny[part])
        for orientation in range(ORIENTATIONS):
            oriented = _oriented(coefficients, orientation)
            bits[orientation, part] = np.packbits(_signs(oriented), axis=1)
            codes[orientation, part] = (_signs(oriented[:, :LOW, :LOW]) * powers).sum(axis=1)
    return PerceptualHashes(bits, codes)


def nearest_orientation(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """The orientation of the first of each of P pairs nearest to the second, and the distance.

    Packed bits (ORIENTATIONS, P, 32) and (P, 32) → orientations (P,), Hamming distances (P,).
    """
    bits_of_byte = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    counts = bits_of_byte.astype(np.uint8)
    distances = np.stack([counts[bits ^ second].sum(axis=1, dtype=np.int16) for bits in first])
    nearest = distances.argmin(axis=0)
    return nearest.astype(np.int8), np.take_along_axis(distances, nearest[None], axis=0)[0]


@cache
def _basis() -> Floats:
    """The lowest rows of the orthonormal DCT-II: (FREQUENCIES, SIDE)."""
    rows = np.arange(FREQUENCIES)[:, None]
    basis = np.cos(np.pi * (2 * np.arange(SIDE) + 1) * rows / (2 * SIDE)) * (2 / SIDE) ** 0.5
    basis[0] /= 2**0.5
    return np.asarray(basis, np.float32)


def _coefficients(tiny: TinyImages) -> Floats:
    """(N, TINY_BYTES) → (N, FREQUENCIES, FREQUENCIES), those of y first."""
    grey = tiny[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE).astype(np.float32)
    return np.asarray(np.matmul(np.matmul(_basis(), grey), _basis().T))


def _oriented(coefficients: Floats, orientation: int) -> Floats:
    """The coefficients of the same images in another orientation."""
    odd = np.where(np.arange(coefficients.shape[1]) % 2, -1, 1).astype(np.float32)
    if orientation & 1:
        coefficients = coefficients * odd
    if orientation & 2:
        coefficients = coefficients * odd[:, None]
    return coefficients.transpose(0, 2, 1) if orientation & 4 else coefficients


def _signs(coefficients: Floats) -> Bits:
    return np.asarray((coefficients > SILENT).reshape(len(coefficients), -1)[:, 1:])
