"""Decodes images: encoded bytes, or a Pillow image, to upright sRGB pixels.

The bytes are not trusted. A Pillow image may have any mode and is not changed. Every failure is an
ImageError whose message is a short reason. All functions are thread-safe.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cbir.config import Ground, Preprocessing, Region, View
from cbir.images.colour import resamplable, to_srgb
from cbir.images.frames import FLAT, spread_of
from cbir.images.geometry import SIDEWAYS, WHOLE_IMAGE, fit, view_boxes
from cbir.images.opening import opened
from cbir.images.orientation import ORIENTATION_TAG, UPRIGHT, orientation_of
from cbir.images.transparency import WHITE, choose_ground
from cbir.types import Remark

if TYPE_CHECKING:
    import numpy.typing as npt

    from cbir.images.pixels import StoredPixels

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

_BLANK = Remark("blank", "one flat colour: similar to everything of that colour, a match of none")


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The views and regions of an image that a network is given, and their preprocessing."""

    preprocessing: Preprocessing
    views: tuple[View, ...] = ("crop",)
    """`crop` is the centre square; `whole` is the full image squeezed into a square; `zoom` is the
    middle of the centre square, enlarged √2 times."""
    regions: tuple[Region, ...] = ()
    """Parts of the image to decode in addition to the whole."""
    ground: Ground = "contrast"
    """What transparent parts are blended with: a level of grey that shows the picture's edges
    (`contrast`), or always white, as in galleries of earlier versions."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image prepared for a network, and the size of the original."""

    pixels: npt.NDArray[np.uint8]
    """(crop, crop, 3), upright, sRGB; with leading axes for regions and views, if any."""
    width: int
    height: int
    """Size of the whole image in pixels, upright."""
    remarks: tuple[Remark, ...] = ()
    """What has to be known about it: damaged, nothing but one colour."""


def decode(data: bytes, preprocessing: Preprocessing) -> DecodedImage:
    """Encoded bytes → (crop, crop, 3) uint8: the centre square of the scaled image, upright, sRGB.

    Scaling and cropping are one resampling, aligned as if scaled first and cropped after. Of an
    animation the first frame that shows something is decoded; transparent parts are blended with a
    ground that shows the picture.
    Raises ImageError, or ImageTooLargeError above the limit of `CBIR_MAX_PIXELS`.
    """
    decoded = decode_image(data, DecodeOptions(preprocessing))
    return replace(decoded, pixels=decoded.pixels[0, 0])


def decode_views(
    data: bytes,
    preprocessing: Preprocessing,
    views: Sequence[View],
    *,
    ground: Ground = "contrast",
) -> DecodedImage:
    """Several views of an image, decoded once: pixels (V, crop, crop, 3). Errors as `decode`."""
    decoded = decode_image(data, DecodeOptions(preprocessing, tuple(views), ground=ground))
    return replace(decoded, pixels=decoded.pixels[0])


def decode_image(source: bytes | Image.Image, options: DecodeOptions) -> DecodedImage:
    """An image and R regions of it, decoded once: pixels (1 + R, V, crop, crop, 3).

    The whole image comes first. Each region is treated as a separate image, with the same views.
    Raises ImageError as `decode` does.
    """
    preprocessing, regions = options.preprocessing, options.regions
    with opened(source) as image:
        smallest = min((min(w, h) for _, _, w, h in regions), default=1.0)
        least = math.ceil(_DRAFT_MARGIN * preprocessing.resize / smallest)
        stored = image.load((least, least))
        ground = _ground(stored, options.ground)
        side = preprocessing.crop
        resample = _RESAMPLING[preprocessing.interpolation]
        pixels = np.empty((1 + len(regions), len(options.views), side, side, 3), np.uint8)
        for part, region in zip(pixels, (WHOLE_IMAGE, *regions), strict=True):
            boxes = view_boxes(region, stored.full, stored.end, stored.orientation, preprocessing)
            for square, view in zip(part, options.views, strict=True):
                resized = stored.image.resize((side, side), resample, boxes[view])
                square[:] = np.asarray(_finish(resized, stored, ground), np.uint8)
        remarks = stored.remarks
        if _is_flat(pixels[0]) and spread_of(_finish(stored.image, stored, ground)) <= FLAT:
            remarks += (_BLANK,)
    width, height = stored.full
    if stored.orientation in SIDEWAYS:
        width, height = height, width
    return DecodedImage(pixels, width, height, remarks)


def open_rgb(
    source: bytes | Image.Image, *, max_side: int | None = None, ground: Ground = "contrast"
) -> Image.Image:
    """The whole image, upright, sRGB, mode RGB; shrunk so that no side exceeds `max_side` pixels.

    `ground` as in `DecodeOptions`. Raises ImageError, or ImageTooLargeError above the limit of
    `CBIR_MAX_PIXELS`.
    """
    with opened(source) as image:
        shrunk = fit(image.size, max_side)
        stored = image.load((_DRAFT_MARGIN * shrunk[0], _DRAFT_MARGIN * shrunk[1]))
        whole = stored.image
        level = _ground(stored, ground)
        if (size := fit(stored.full, max_side)) != whole.size:
            whole = whole.resize(size, Image.Resampling.BICUBIC, (0, 0, *stored.end))
        return _finish(whole, stored, level)


def thumbnail_jpeg(data: bytes, *, max_side: int, quality: int = 80) -> bytes:
    """The image as a JPEG whose sides are at most `max_side` pixels. Raises ImageError."""
    thumbnail = io.BytesIO()
    open_rgb(data, max_side=max_side).save(thumbnail, "JPEG", quality=quality)
    return thumbnail.getvalue()


def encode_lossless(image: Image.Image) -> bytes:
    """Encode a Pillow image of any mode without loss: the file decodes exactly as the image does.

    PNG, or TIFF for CMYK, with colour profile and orientation. Raises ImageError.
    """
    with opened(image) as loaded:
        loaded.load(None)
        stored = resamplable(image)
        exif = Image.Exif()
        if (orientation := orientation_of(image)) != 1:
            exif[ORIENTATION_TAG] = orientation
        options = {"exif": exif, "icc_profile": image.info.get("icc_profile")}
        encoded = io.BytesIO()
        if stored.mode == "CMYK":
            stored.save(encoded, "TIFF", **options)
        else:
            stored.save(encoded, "PNG", compress_level=1, **options)
    return encoded.getvalue()


def _ground(stored: StoredPixels, ground: Ground) -> int:
    """The level of grey that transparent parts of an image are blended with."""
    if ground == "white" or stored.image.mode not in ("LA", "RGBA"):
        return WHITE
    return choose_ground(stored.image)


def _is_flat(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether the levels of (..., 3) pixels differ by no more than those of one colour do."""
    few = pixels[0, 4::64, 4::64, 1].tobytes()
    if max(few) - min(few) > FLAT:  # nearly every image, in a hundredth of the time
        return False
    return bool(np.ptp(pixels.reshape(-1, 3).astype(np.int16), axis=0).max() <= FLAT)


def _finish(image: Image.Image, stored: StoredPixels, ground: int) -> Image.Image:
    """Flatten, convert to sRGB and turn upright; returns a new RGB image without metadata."""
    finished = to_srgb(image, stored.profile, ground=ground)
    if stored.orientation in UPRIGHT:
        finished = finished.transpose(UPRIGHT[stored.orientation])
    finished.info.clear()  # the old profile and orientation no longer hold
    return finished
