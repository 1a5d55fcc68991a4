"""Altered versions of images, as queries that should find the original: needs no labels."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageEnhance

__all__ = ["altered"]


def altered(image: Image.Image, *, seed: int) -> bytes:
    """An altered version of an image as JPEG: cropped, slightly turned, in another light."""
    rng = np.random.default_rng(seed)
    width, height = image.size
    side = rng.uniform(0.5, 0.8)
    left, top = rng.uniform(0, 1 - side, 2)
    turned = image.rotate(float(rng.uniform(-12, 12)), Image.Resampling.BICUBIC)
    part = turned.crop(
        (
            int(left * width),
            int(top * height),
            max(int(left * width) + 1, int((left + side) * width)),
            max(int(top * height) + 1, int((top + side) * height)),
        )
    )
    lit = ImageEnhance.Brightness(part).enhance(float(rng.uniform(0.6, 1.4)))
    coloured = ImageEnhance.Color(lit).enhance(float(rng.uniform(0.4, 1.6)))
    encoded = BytesIO()
    coloured.save(encoded, "JPEG", quality=60)
    return encoded.getvalue()
