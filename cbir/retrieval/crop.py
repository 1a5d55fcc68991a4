"""A region of the query image, in pixels or as fractions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cbir.errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Crop", "crop_image", "crop_text"]

Crop: TypeAlias = "tuple[float, float, float, float]"
"""x, y, width, height: pixels of the upright image, or fractions of it where none exceeds 1."""


def crop_image(image: Image, crop: Crop, *, full: tuple[int, int] | None = None) -> Image:
    """A region of an upright image. Raises ImageError when it does not lie within.

    `full` is the size of the whole image where `image` is a reduced version of it.
    """
    width, height = full or image.size
    shown = crop_text(crop)
    if not np.isfinite(crop).all() or min(crop) < 0:
        raise ImageError(f"crop {shown}: x, y, width and height are numbers from 0 upwards")
    scale = np.array([width, height] * 2 if max(crop) <= 1 else [1] * 4)
    x, y, w, h = (np.asarray(crop) * scale).tolist()
    if not np.isfinite([x + w, y + h]).all():
        raise ImageError(f"crop {shown} is larger than any image")
    left, top, right, bottom = round(x), round(y), round(x + w), round(y + h)
    if right > width or bottom > height:
        raise ImageError(
            f"crop {shown} reaches to {right},{bottom} and the image ends at {width},{height}; "
            "x,y,width,height are pixels of the upright image, or fractions of it"
        )
    if right <= left or bottom <= top:
        raise ImageError(f"crop {shown} is empty in an image of {width} × {height} pixels")
    if full is None:
        return image.crop((left, top, right, bottom))
    scale_x, scale_y = image.width / width, image.height / height
    box = math.floor(scale_x * left), math.floor(scale_y * top)
    return image.crop((*box, math.ceil(scale_x * right), math.ceil(scale_y * bottom)))


def crop_text(crop: Crop) -> str:
    """A crop as people write it: `10,20,300,200`."""
    return ",".join(f"{number:g}" for number in crop)
