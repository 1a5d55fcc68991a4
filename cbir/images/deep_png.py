"""PNGs of 16 bits per colour that use a few of them alone: Pillow keeps the upper 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cbir.images.levels import is_dark, to_levels

__all__ = ["with_all_bits"]

DEPTH_AT, COLOUR_TYPE_AT = 24, 25
"""Places of two numbers of the header in the file."""
COLOUR = {2, 4, 6}


def with_all_bits(data: bytes, image: Image.Image) -> Image.Image:
    """The image as Pillow has decoded it, or anew where it is nearly black for that reason."""
    if data[DEPTH_AT] != 16 or data[COLOUR_TYPE_AT] not in COLOUR or not is_dark(image):
        return image
    import cv2

    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3:
        return image
    rgb = Image.fromarray(to_levels(np.ascontiguousarray(samples[..., 2::-1])))
    if samples.shape[2] == 4:
        rgb.putalpha(Image.fromarray(to_levels(samples[..., 3])))
    return rgb
