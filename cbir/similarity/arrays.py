"""Checks and conversions of pixels: uint8, grey or RGB, and two images to one size."""

from __future__ import annotations

import numpy as np

from cbir.arrays import Pixels
from cbir.similarity.opencv import opencv

__all__ = ["check_pixels", "to_common_size", "to_grey", "to_rgb"]


def check_pixels(image: Pixels) -> None:
    """Check that an array is an image. Raises ValueError for another shape or type, or none."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"an image of {image.dtype} {image.shape}, not uint8 (H, W, 3) or (H, W); "
            "cbir.images.open_rgb prepares it"
        )
    if image.size == 0:
        raise ValueError(f"an image of shape {image.shape} has no pixel to compare")


def to_grey(image: Pixels) -> Pixels:
    """The luma, (H, W): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    check_pixels(image)
    if image.ndim == 2:
        return image
    cv2 = opencv()
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def to_rgb(image: Pixels) -> Pixels:
    """(H, W, 3); a grey image has three equal channels."""
    check_pixels(image)
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def to_common_size(a: Pixels, b: Pixels) -> tuple[Pixels, Pixels]:
    """Both images at the smaller width and the smaller height of the two.

    Neither is enlarged, pixels are averaged, and the order of the two does not matter. Images of
    one size are returned unchanged; those of another aspect ratio are squeezed.
    """
    check_pixels(a)
    check_pixels(b)
    size = min(a.shape[1], b.shape[1]), min(a.shape[0], b.shape[0])
    return _shrunk(a, size), _shrunk(b, size)


def _shrunk(image: Pixels, size: tuple[int, int]) -> Pixels:
    if (image.shape[1], image.shape[0]) == size:
        return image
    cv2 = opencv()
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
