"""Tells files that hold more than the picture that is shown of them."""

from __future__ import annotations

import io

from PIL import Image

from cbir.images.formats import SIGNATURE_BYTES, sniff_format

__all__ = ["holds_more"]

ANIMATED = ("gif", "png", "webp", "avif")


def holds_more(data: bytes) -> str:
    """What an encoded image holds besides its picture, in a few words; empty for nothing.

    Camera RAW, the frames of an animation, further pages of a TIFF: whoever has the picture alone
    does not have these.
    """
    kind = sniff_format(data[:SIGNATURE_BYTES])
    try:
        if kind == "raw":
            return "camera RAW"
        if kind == "tiff":
            return _of_tiff(data)
        if kind in ANIMATED:
            with Image.open(io.BytesIO(data)) as image:
                return "an animation" if getattr(image, "is_animated", False) else ""
    except Exception:  # damaged bytes make parsers raise almost anything; the picture was read
        return ""
    return ""


def _of_tiff(data: bytes) -> str:
    from cbir.images.raw import is_raw
    from cbir.images.tiff_directories import read_directories

    directories = read_directories(data)
    if directories and is_raw(data, directories):
        return "camera RAW"
    pages = sum(1 for each in directories if each.pixels and not each.is_reduced)
    return "several pages" if pages > 1 else ""
