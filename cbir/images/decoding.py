"""Decodes images: encoded bytes, or a Pillow image, to upright sRGB pixels.

The bytes are not trusted. A Pillow image may have any mode and is not changed. Every failure is an
ImageError whose message is a short reason. All functions are thread-safe.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cbir.config import Preprocessing, Region, View
from cbir.images.colour import resamplable, to_srgb
from cbir.images.geometry import SIDEWAYS, WHOLE, fit, view_boxes
from cbir.images.opening import load_pixels, opened

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "DecodeOptions",
    "DecodedImage",
    "decode",
    "decode_image",
    "decode_views",
    "encode_lossless",
    "open_rgb",
    "thumbnail_jpeg",
]

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

# Why Pillow: faster decoders gain little, as the network takes seven times as long as decoding.
# One core (Zen 3, AVX2) decodes, of photographs of 500 × 375 pixels, 688 a second with
# libjpeg-turbo (simplejpeg), 660 with cv2, 590 with Pillow; a reduced one of 12 megapixels takes
# 21.5 ms with simplejpeg, 22.1 ms with Pillow. torchvision.io would import torch, which takes
# longer than a whole search.

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if this many times the size needed remains:
# embeddings then keep a cosine of 0.999 to those of the fully decoded image.
_DRAFT_MARGIN = 2

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The views and regions of an image that a network is given, and their preprocessing."""

    preprocessing: Preprocessing
    views: tuple[View, ...] = ("crop",)
    """`crop` is the centre square; `whole` is the full image squeezed into a square; `zoom` is the
    middle of the centre square, enlarged √2 times."""
    regions: tuple[Region, ...] = ()
    """Parts of the image to decode in addition to the whole."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image prepared for a network, and the size of the original."""

    pixels: npt.NDArray[np.uint8]
    """(crop, crop, 3), upright, sRGB; with leading axes for regions and views, if any."""
    width: int
    height: int
    """Size of the whole image in pixels, upright."""


def decode(data: bytes, preprocessing: Preprocessing) -> DecodedImage:
    """Encoded bytes → (crop, crop, 3) uint8: the centre square of the scaled image, upright, sRGB.

    Scaling and cropping are one resampling, aligned as if scaled first and cropped after. Of an
    animation or several pages the first is decoded; transparent parts are blended with white.
    Raises ImageError, or ImageTooLargeError above the limit of `CBIR_MAX_PIXELS`.
    """
    decoded = decode_image(data, DecodeOptions(preprocessing))
    return DecodedImage(decoded.pixels[0, 0], decoded.width, decoded.height)


def decode_views(data: bytes, preprocessing: Preprocessing, views: Sequence[View]) -> DecodedImage:
    """Several views of an image, decoded once: pixels (V, crop, crop, 3). Errors as `decode`."""
    decoded = decode_image(data, DecodeOptions(preprocessing, tuple(views)))
    return DecodedImage(decoded.pixels[0], decoded.width, decoded.height)


def decode_image(source: bytes | Image.Image, options: DecodeOptions) -> DecodedImage:
    """An image and R regions of it, decoded once: pixels (1 + R, V, crop, crop, 3).

    The whole image comes first. Each region is treated as a separate image, with the same views.
    Raises ImageError as `decode` does.
    """
    preprocessing, regions = options.preprocessing, options.regions
    with opened(source) as image:
        smallest = min((min(w, h) for _, _, w, h in regions), default=1.0)
        least = math.ceil(_DRAFT_MARGIN * preprocessing.resize / smallest)
        (width, height), end = load_pixels(image, least, least)
        orientation = _orientation(image)
        stored = resamplable(image)
        side = preprocessing.crop
        resample = _RESAMPLING[preprocessing.interpolation]
        pixels = np.empty((1 + len(regions), len(options.views), side, side, 3), np.uint8)
        for part, region in zip(pixels, (WHOLE, *regions), strict=True):
            boxes = view_boxes(region, (width, height), end, orientation, preprocessing)
            for square, view in zip(part, options.views, strict=True):
                resized = stored.resize((side, side), resample, boxes[view])
                square[:] = np.asarray(_finish(resized, image, orientation), np.uint8)
    if orientation in SIDEWAYS:
        width, height = height, width
    return DecodedImage(pixels, width, height)


def open_rgb(source: bytes | Image.Image, *, max_side: int | None = None) -> Image.Image:
    """The whole image, upright, sRGB, mode RGB; shrunk so that no side exceeds `max_side` pixels.

    Raises ImageError, or ImageTooLargeError above the limit of `CBIR_MAX_PIXELS`.
    """
    with opened(source) as image:
        shrunk = fit(image.size, max_side)
        full, end = load_pixels(image, _DRAFT_MARGIN * shrunk[0], _DRAFT_MARGIN * shrunk[1])
        whole = resamplable(image)
        if (size := fit(full, max_side)) != image.size:
            whole = whole.resize(size, Image.Resampling.BICUBIC, (0, 0, *end))
        return _finish(whole, image, _orientation(image))


def thumbnail_jpeg(data: bytes, *, max_side: int, quality: int = 80) -> bytes:
    """The image as a JPEG whose sides are at most `max_side` pixels. Raises ImageError."""
    thumbnail = io.BytesIO()
    open_rgb(data, max_side=max_side).save(thumbnail, "JPEG", quality=quality)
    return thumbnail.getvalue()


def encode_lossless(image: Image.Image) -> bytes:
    """Encode a Pillow image of any mode without loss: the file decodes exactly as the image does.

    PNG, or TIFF for CMYK, with colour profile and orientation. Raises ImageError.
    """
    with opened(image):
        stored = resamplable(image)
        exif = Image.Exif()
        if (orientation := _orientation(image)) != 1:
            exif[_ORIENTATION_TAG] = orientation
        options = {"exif": exif, "icc_profile": image.info.get("icc_profile")}
        encoded = io.BytesIO()
        if stored.mode == "CMYK":
            stored.save(encoded, "TIFF", **options)
        else:
            stored.save(encoded, "PNG", compress_level=1, **options)
    return encoded.getvalue()


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image, 1 to 8; 1 where it is missing or invalid.

    An image derived from an opened one (its format is None) still carries the file's EXIF, but may
    have been turned already: it counts as upright.
    """
    if image.format is None:
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
        return orientation if orientation in _UPRIGHT else 1
    except Exception:  # damaged EXIF raises almost anything; the pixels are usable without it
        return 1


def _finish(image: Image.Image, source: Image.Image, orientation: int) -> Image.Image:
    """Flatten, convert to sRGB and turn upright; returns a new RGB image without metadata."""
    finished = to_srgb(image, source.info.get("icc_profile"))
    if orientation in _UPRIGHT:
        finished = finished.transpose(_UPRIGHT[orientation])
    finished.info.clear()  # the old profile and orientation no longer hold
    return finished
