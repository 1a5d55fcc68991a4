"""The EXIF orientation of an image, and how it is turned upright."""

from __future__ import annotations

from PIL import Image

__all__ = ["ORIENTATION_TAG", "UPRIGHT", "orientation_of"]

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what turns the stored pixels upright."""


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image, 1 to 8; 1 where it is missing or invalid.

    An image derived from an opened one (its format is None) still carries the file's EXIF, but may
    have been turned already: it counts as upright.
    """
    if image.format is None:
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        return orientation if orientation in UPRIGHT else 1
    except Exception:  # damaged EXIF raises almost anything; the pixels are usable without it
        return 1
