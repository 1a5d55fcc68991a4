"""Decodes JPEGs, at a reduced size where that is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir.config import max_pixels
from cbir.errors import ImageTooLargeError

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

__all__ = ["SCALED_FACTOR", "decode_jpeg", "most_jpeg_pixels"]

SCALED_FACTOR = 4
"""How many times as many pixels as are decoded a JPEG may have: it is scaled while it is decoded.
Four times 100 megapixels admit the photographs of telephones (108 and 200 megapixels)."""
PROGRESSIVE_FACTOR = 2
"""The same for a progressive JPEG, all of whose coefficients are in memory at once (3 bytes per
pixel)."""


def most_jpeg_pixels(image: Image.Image) -> int:
    """Largest number of pixels that this JPEG may have."""
    progressive = "progressive" in image.info
    return max_pixels() * (PROGRESSIVE_FACTOR if progressive else SCALED_FACTOR)


def decode_jpeg(
    image: ImageFile, least: tuple[int, int] | None
) -> tuple[Image.Image, tuple[float, float]]:
    """Decode an opened JPEG, at 1/2, 1/4 or 1/8 of its size if `least` (w, h) is still reached.

    Returns the pixels, and where the right and lower edges of the whole lie in them. Raises
    ImageTooLargeError if more pixels than `CBIR_MAX_PIXELS` would be decoded.
    """
    full = image.size
    drafted = image.draft(None, least or full)
    width, height = image.size
    if width * height > (limit := max_pixels()):
        raise ImageTooLargeError(
            f"{width:,} × {height:,} pixels at once are above the limit of {limit / 1e6:,.0f} "
            "megapixels; CBIR_MAX_PIXELS raises it"
        )
    image.load()
    if drafted is None:
        return image, image.size
    _, (_, _, x_end, y_end) = drafted
    return image, (x_end, y_end)
