"""Thumbnails as descriptors: the whole image squeezed to one size, in grey, colour, or tiny."""

from __future__ import annotations

from functools import partial

import numpy as np

from cbir.arrays import Pixels
from cbir.descriptors.descriptor import Descriptor
from cbir.similarity.arrays import to_grey, to_rgb
from cbir.similarity.opencv import opencv
from cbir.similarity.tiny import TINY_BYTES, TinyImages, tiny_image

__all__ = ["colour", "grey", "phash"]

SIDE = 96
"""Side in pixels: so small that a slight shift or another crop hardly changes the similarity."""

PHASH_MAX_SIDE = 128
"""Longer side in pixels before reduction to 32: a JPEG is decoded at an eighth of its size."""


def grey() -> Descriptor[Pixels]:
    """The whole image in grey at 96 × 96, uint8 (96, 96): 9 kB per image."""
    return Descriptor("grey", _grey, np.ndarray.tobytes, partial(_decode, (SIDE, SIDE)), 2 * SIDE)


def colour() -> Descriptor[Pixels]:
    """The whole image in colour at 96 × 96, uint8 (96, 96, 3): 27 kB per image."""
    decode = partial(_decode, (SIDE, SIDE, 3))
    return Descriptor("colour", _colour, np.ndarray.tobytes, decode, 2 * SIDE)


def phash() -> Descriptor[TinyImages]:
    """The tiny image that perceptual hashes are computed from, uint8 (1216,)."""
    decode = partial(_decode, (TINY_BYTES,))
    return Descriptor("phash", tiny_image, np.ndarray.tobytes, decode, PHASH_MAX_SIDE)


def _grey(image: Pixels) -> Pixels:
    return _squashed(to_grey(image))


def _colour(image: Pixels) -> Pixels:
    return _squashed(to_rgb(image))


def _squashed(image: Pixels) -> Pixels:
    """The whole image at (96, 96), without its aspect ratio."""
    cv2 = opencv()
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _decode(shape: tuple[int, ...], data: bytes) -> Pixels:
    """uint8 pixels of that shape. Raises ValueError for another number of bytes."""
    return np.frombuffer(data, np.uint8).reshape(shape)
