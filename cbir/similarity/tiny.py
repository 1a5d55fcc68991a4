"""Tiny images: a whole image as 32 × 32 grey and 8 × 8 colour, enough to recognise copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.arrays import to_grey, to_rgb
from cbir.similarity.colour_cast import limited_cast
from cbir.similarity.correlation import Floats, local_correlation
from cbir.similarity.opencv import opencv

__all__ = [
    "ORIENTATIONS",
    "SIDE",
    "TINY_BYTES",
    "TinyAgreement",
    "TinyImages",
    "compare_tiny",
    "orientation_map",
    "oriented",
    "tiny_image",
]

SIDE = 32
COLOUR_SIDE = 8
TINY_BYTES = SIDE * SIDE + 3 * COLOUR_SIDE * COLOUR_SIDE
"""Bytes of a tiny image: 32 × 32 grey, then 8 × 8 RGB."""

ORIENTATIONS = 8
"""Ways to turn and mirror an image by right angles, numbered by three bits: 1 mirrors x, 2 mirrors
y, and 4 transposes the result."""

FLAT = 6.0
"""Standard deviation in levels of 255 below which an image has nothing but its colour."""

WINDOW = 5
"""Side in pixels of the windows within which two tiny images are correlated."""

Plane = TypeVar("Plane", npt.NDArray[np.float32], npt.NDArray[np.uint8])

TinyImages = npt.NDArray[np.uint8]
"""(N, TINY_BYTES), or one of them, (TINY_BYTES,)."""


def tiny_image(image: Pixels) -> TinyImages:
    """Squeeze an image to a tiny image, (TINY_BYTES,), without its aspect ratio."""
    cv2 = opencv()
    grey = cv2.resize(to_grey(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    colour = cv2.resize(to_rgb(image), (COLOUR_SIDE,) * 2, interpolation=cv2.INTER_AREA)
    return np.concatenate([grey.ravel(), colour.ravel()]).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class TinyAgreement:
    """Agreement of two tiny images, one of them in the orientation that fits best."""

    mean: float
    """Mean of the local correlation, from -1 to 1, weighted by contrast."""
    median: float
    """Its weighted median, which text over a part of the image does not change."""
    colour: float
    """Root mean square difference of colours, in levels of 255, after the light is equalised."""


def compare_tiny(first: TinyImages, second: TinyImages, orientation: int) -> TinyAgreement:
    """Compare two tiny images, (TINY_BYTES,) each, the first one turned to an orientation."""
    grey, colour = _planes(first)
    other_grey, other_colour = _planes(second)
    everywhere = np.ones((SIDE, SIDE), bool)
    turned = oriented(grey, orientation)
    mean, median = local_correlation(turned, other_grey, everywhere, window=WINDOW).agreement()
    return TinyAgreement(
        mean, median, _colour_difference(oriented(colour, orientation), other_colour)
    )


def _planes(tiny: TinyImages) -> tuple[Floats, Floats]:
    """Grey (SIDE, SIDE) and colour (COLOUR_SIDE, COLOUR_SIDE, 3)."""
    grey, colour = tiny[: SIDE * SIDE], tiny[SIDE * SIDE :]
    return (
        grey.reshape(SIDE, SIDE).astype(np.float32),
        colour.reshape(COLOUR_SIDE, COLOUR_SIDE, 3).astype(np.float32),
    )


def oriented(plane: Plane, orientation: int) -> Plane:
    """An image (H, W) or (H, W, 3) in one of the orientations."""
    if orientation & 1:
        plane = plane[:, ::-1]
    if orientation & 2:
        plane = plane[::-1]
    return np.ascontiguousarray(plane.swapaxes(0, 1) if orientation & 4 else plane)


def orientation_map(orientation: int) -> npt.NDArray[np.float64]:
    """Where `oriented` moves positions, as shares of the sides: (3, 3)."""
    mirror_x = np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1.0]]) if orientation & 1 else np.eye(3)
    mirror_y = np.array([[1, 0, 0], [0, -1, 1], [0, 0, 1.0]]) if orientation & 2 else np.eye(3)
    transpose = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]]) if orientation & 4 else np.eye(3)
    return np.asarray(transpose @ mirror_y @ mirror_x)


def _colour_difference(a: Floats, b: Floats) -> float:
    """Root mean square difference of two planes (S, S, 3), symmetric in the two."""
    a, b = a.reshape(-1, 3), b.reshape(-1, 3)
    # A flat image has nothing but its colour: no gain may compensate another one.
    flat = max(a.std(axis=0).max(), b.std(axis=0).max()) < FLAT
    forward = (a if flat else _gain(a, b) * a) - b
    backward = (b if flat else _gain(b, a) * b) - a
    return float(max((forward**2).mean(), (backward**2).mean()) ** 0.5)


def _gain(a: Floats, b: Floats) -> Floats:
    """Gain of each channel that makes a most like b, within the range of a change of light."""
    gain = (a * b).sum(axis=0) / np.maximum((a * a).sum(axis=0), 1)
    return limited_cast(gain)
