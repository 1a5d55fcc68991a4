"""From encoded bytes, or a Pillow image, to upright sRGB pixels, without trusting the bytes.

Every failure is an ImageError whose message is a short reason. All functions may be called from
several threads at once.
"""

from __future__ import annotations

import io
import logging
import math
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cbir.config import Preprocessing, Region, View, max_pixels
from cbir.errors import ImageError, ImageTooLargeError
from cbir.images.colour import resamplable, to_srgb
from cbir.images.formats import (
    IMAGE_SUFFIXES,
    KNOWN_FORMATS,
    SIGNATURE_BYTES,
    plugin_of,
    sniff_format,
)

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "IMAGE_SUFFIXES",
    "SIGNATURE_BYTES",
    "DecodedImage",
    "check_header",
    "decode",
    "decode_regions",
    "decode_views",
    "encode_lossless",
    "open_rgb",
    "sniff_format",
    "thumbnail_jpeg",
]

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

# Pillow decodes, for others would not pay: of photographs of 500 × 375, libjpeg-turbo through
# simplejpeg decodes 688 a second of one core, cv2 660, Pillow 590 (Zen 3, AVX2); of 12 megapixels,
# reduced, one takes 21.5 ms, and 22.1. The network takes seven times as long as the decoder.
# torchvision.io would import torch, which takes longer than a whole search.

# A JPEG is decoded at 1/2, 1/4 or 1/8 as long as that leaves this many times the size needed:
# embeddings then keep a cosine of 0.999 to those of the fully decoded image.
_DRAFT_MARGIN = 2

# Pillow logs what is wrong with a file before it raises; without any handler that is printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())
_FROM_PILLOW = re.compile(r"PIL\.")

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
_SIDEWAYS = frozenset({5, 6, 7, 8})
_RUNS_LEFT = frozenset({2, 3, 7, 8})  # the stored x axis runs against an upright one
_RUNS_UP = frozenset({3, 4, 6, 7})  # the stored y axis does

_WHOLE: Region = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image as a network takes it, and how large the whole of it is."""

    pixels: npt.NDArray[np.uint8]
    """(crop, crop, 3), upright, sRGB; with axes in front for regions and views, if any."""
    width: int
    height: int
    """Size of the whole image in pixels, upright."""


def decode(data: bytes, preprocessing: Preprocessing) -> DecodedImage:
    """Encoded bytes → (crop, crop, 3) uint8: the centre square of the scaled image, upright, sRGB.

    Scaling and cropping are one resampling, aligned with scaling first and cropping after. Of an
    animation or several pages the first is taken; transparency is laid over white. Raises
    ImageError, or ImageTooLargeError above the limit of `CBIR_MAX_PIXELS`.
    """
    views = decode_views(data, preprocessing, ("crop",))
    return DecodedImage(views.pixels[0], views.width, views.height)


def decode_views(data: bytes, preprocessing: Preprocessing, views: Sequence[View]) -> DecodedImage:
    """Several views of one image, decoded once: pixels (V, crop, crop, 3); otherwise as `decode`.

    `crop` is the centre square; `whole` is everything, squeezed into the square; `zoom` is the
    middle of the centre square, √2 times as large.
    """
    decoded = decode_regions(data, preprocessing, views, ())
    return DecodedImage(decoded.pixels[0], decoded.width, decoded.height)


def decode_regions(
    source: bytes | Image.Image,
    preprocessing: Preprocessing,
    views: Sequence[View],
    regions: Sequence[Region],
) -> DecodedImage:
    """One image and R regions of it, decoded once: pixels (1 + R, V, crop, crop, 3).

    `source` is an encoded image or a Pillow image of any mode, which is not changed. The image
    comes first. A region is seen as if it were an image of its own, in the same views.
    """
    with _opened(source) as image:
        least = min((min(w, h) for _, _, w, h in regions), default=1.0)
        enough = math.ceil(_DRAFT_MARGIN * preprocessing.resize / least)
        (width, height), end = _load(image, enough, enough)
        orientation = _orientation(image)
        stored = resamplable(image)
        side = preprocessing.crop
        resample = _RESAMPLING[preprocessing.interpolation]
        pixels = np.empty((1 + len(regions), len(views), side, side, 3), np.uint8)
        for part, region in zip(pixels, (_WHOLE, *regions), strict=True):
            boxes = _boxes(region, (width, height), end, orientation, preprocessing)
            for square, view in zip(part, views, strict=True):
                resized = stored.resize((side, side), resample, boxes[view])
                square[:] = np.asarray(_finish(resized, image, orientation), np.uint8)
    if orientation in _SIDEWAYS:
        width, height = height, width
    return DecodedImage(pixels, width, height)


def check_header(data: bytes) -> None:
    """Raise ImageError if these bytes are no image, too large, or damaged where they begin."""
    with _opened(data):
        pass


def open_rgb(source: bytes | Image.Image, *, max_side: int | None = None) -> Image.Image:
    """The whole image, upright, sRGB, mode RGB; shrunk so that no side exceeds `max_side` pixels.

    `source` is an encoded image or a Pillow image of any mode, which is not changed. Raises
    ImageError, or ImageTooLargeError above the limit of `CBIR_MAX_PIXELS`.
    """
    with _opened(source) as image:
        shrunk = _fit(image.size, max_side)
        full, end = _load(image, _DRAFT_MARGIN * shrunk[0], _DRAFT_MARGIN * shrunk[1])
        whole = resamplable(image)
        if (size := _fit(full, max_side)) != image.size:
            whole = whole.resize(size, Image.Resampling.BICUBIC, (0, 0, *end))
        return _finish(whole, image, _orientation(image))


def thumbnail_jpeg(data: bytes, *, max_side: int, quality: int = 80) -> bytes:
    """The image as a JPEG whose sides are at most `max_side` pixels. Raises ImageError."""
    thumbnail = io.BytesIO()
    open_rgb(data, max_side=max_side).save(thumbnail, "JPEG", quality=quality)
    return thumbnail.getvalue()


def encode_lossless(image: Image.Image) -> bytes:
    """A Pillow image of any mode as a file that is seen exactly as the image is.

    PNG, or TIFF where it is CMYK; with its colour profile, and the orientation of an opened file.
    Raises ImageError.
    """
    with _opened(image) as opened:
        stored = resamplable(opened)
        exif = Image.Exif()
        if (orientation := _orientation(opened)) != 1:
            exif[_ORIENTATION_TAG] = orientation
        options: dict[str, Any] = {"exif": exif, "icc_profile": opened.info.get("icc_profile")}
        encoded = io.BytesIO()
        if stored.mode == "CMYK":
            stored.save(encoded, "TIFF", **options)
        else:
            stored.save(encoded, "PNG", compress_level=1, **options)
    return encoded.getvalue()


def _opened(source: bytes | Image.Image) -> AbstractContextManager[Image.Image]:
    """The image with its size checked; any failure within is an ImageError."""
    return _given(source) if isinstance(source, Image.Image) else _opened_file(source)


@contextmanager
def _given(image: Image.Image) -> Iterator[Image.Image]:
    """A Pillow image, loaded: one that Pillow has opened reads its file only now."""
    width, height = image.size
    if not (width and height):
        raise ImageError(f"an image of {width} × {height} pixels shows nothing")
    if width * height > (limit := max_pixels()):
        raise ImageTooLargeError(_too_large(width, height, limit))
    try:
        image.load()
        yield image
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except Exception as error:  # damaged bytes make Pillow's parsers raise almost anything
        raise ImageError(_reason(error, image.format or "image")) from error


@contextmanager
def _opened_file(data: bytes) -> Iterator[Image.Image]:
    """The image in a file with its header read."""
    kind = sniff_format(data[:SIGNATURE_BYTES])
    if kind is None:
        known = ", ".join(name.upper() for name in KNOWN_FORMATS)
        raise ImageError(f"not an image in a known format ({known})" if data else "empty file")
    limit = max_pixels()
    _prepare_pillow(limit)
    plugin = plugin_of(kind)
    try:
        with plugin(io.BytesIO(data), "") as image:
            width, height = image.size
            if width * height > limit:
                raise ImageTooLargeError(_too_large(width, height, limit))
            yield image
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"above the limit of {_mega(limit)} megapixels; CBIR_MAX_PIXELS raises it"
        ) from error
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except Exception as error:  # damaged bytes make Pillow's parsers raise almost anything
        raise ImageError(_reason(error, kind)) from error


def _prepare_pillow(limit: int) -> None:
    """Let Pillow accept what our limit allows, and keep its remarks on odd files to itself."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, limit)
    # Damage that matters raises. warnings.catch_warnings would not be thread-safe, so the filter
    # stays, and is put back where somebody's catch_warnings has dropped it.
    filters: Any = warnings.filters
    if ("ignore", None, Warning, _FROM_PILLOW, 0) not in filters:
        warnings.filterwarnings("ignore", module=_FROM_PILLOW.pattern)


def _too_large(width: int, height: int, limit: int) -> str:
    return (
        f"{width:,} × {height:,} pixels is {_mega(width * height)} megapixels, above the limit "
        f"of {_mega(limit)}; CBIR_MAX_PIXELS raises it"
    )


def _mega(pixels: int) -> str:
    return f"{pixels / 1e6:,.1f}".removesuffix(".0")


def _reason(error: Exception, kind: str) -> str:
    kind = kind.upper()
    # Whatever stops a header's parser arrives as SyntaxError(error).
    met = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    text = " ".join(str(met).split())[:200]
    if "truncated" in text.lower() or isinstance(met, (EOFError, IndexError, struct.error)):
        return f"truncated: the {kind} data ends early"
    if not text or isinstance(met, KeyError):  # the text of a KeyError is a bare key
        return f"unreadable {kind}: its parts do not fit together"
    return f"unreadable {kind}: {text}"


def _load(
    image: Image.Image, least_width: int, least_height: int
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Decode, a JPEG at a reduced size if that keeps the least size asked for.

    Returns the full size and where its right and lower edges lie in the decoded pixels: a size
    that is no multiple of the reduction leaves a part of the last column or row beyond the edge,
    and taking that part for picture shifts all the others (four times the error, measured).
    """
    full = image.size
    # The thumbnail that a HEIC may offer instead is another picture.
    is_jpeg = image.format in ("JPEG", "MPO")
    drafted = image.draft(None, (least_width, least_height)) if is_jpeg else None
    image.load()
    if drafted is None:
        # Only now: Pillow turns a TIFF upright when it loads it.
        return image.size, image.size
    _, (_, _, x_end, y_end) = drafted
    return full, (x_end, y_end)


def _boxes(
    region: Region,
    full: tuple[int, int],
    end: tuple[float, float],
    orientation: int,
    preprocessing: Preprocessing,
) -> dict[View, tuple[float, float, float, float]]:
    """What each view of a region shows: a box in the decoded pixels, which end at `end`.

    The region is one of the upright image, `full` the size of the whole as it is stored.
    """
    x, y, w, h = region
    if orientation in _SIDEWAYS:
        x, y, w, h = y, x, h, w
    if orientation in _RUNS_LEFT:
        x = 1 - x - w
    if orientation in _RUNS_UP:
        y = 1 - y - h
    scale = preprocessing.resize / min(w * full[0], h * full[1])
    crop = preprocessing.crop
    # Rounding must not make a region end beyond the image.
    x_low, x_high = max(0.0, x * end[0]), min(end[0], (x + w) * end[0])
    y_low, y_high = max(0.0, y * end[1]), min(end[1], (y + h) * end[1])
    left, right = _centre(
        round(w * full[0] * scale), crop, x_high - x_low, orientation in _RUNS_LEFT
    )
    top, bottom = _centre(round(h * full[1] * scale), crop, y_high - y_low, orientation in _RUNS_UP)
    right, bottom = min(x_high, x_low + right), min(y_high, y_low + bottom)
    square = x_low + left, y_low + top, right, bottom
    return {"crop": square, "whole": (x_low, y_low, x_high, y_high), "zoom": _middle(*square)}


def _centre(scaled: int, crop: int, end: float, reverse: bool) -> tuple[float, float]:
    """Where the centre `crop` of `scaled` pixels begins and stops on an axis that ends at `end`.

    An odd remainder cannot be halved: its larger part comes after the crop in the upright image,
    hence before it on an axis that is stored in reverse.
    """
    start = (scaled - crop + int(reverse)) // 2
    return max(0.0, start * end / scaled), min(end, (start + crop) * end / scaled)


def _middle(
    left: float, top: float, right: float, bottom: float
) -> tuple[float, float, float, float]:
    """The middle half of a box, by area."""
    cut = (1 - 0.5**0.5) / 2
    dx, dy = cut * (right - left), cut * (bottom - top)
    return left + dx, top + dy, right - dx, bottom - dy


def _fit(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """(width, height) with the longer side at most `max_side`; never larger than it is."""
    scale = min(1.0, max_side / max(size)) if max_side else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image, 1 to 8; 1 where it is missing or nonsense.

    What Pillow makes of an opened image (format None) still carries the file's EXIF, while its
    pixels may have been turned already: such an image is taken as it is.
    """
    if image.format is None:
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
        return orientation if orientation in _UPRIGHT else 1
    except Exception:  # damaged EXIF raises almost anything, and the pixels are fine without
        return 1


def _finish(image: Image.Image, source: Image.Image, orientation: int) -> Image.Image:
    """Flatten, bring to sRGB and turn upright; a new RGB image that carries no metadata."""
    finished = to_srgb(image, source.info.get("icc_profile"))
    if orientation in _UPRIGHT:
        finished = finished.transpose(_UPRIGHT[orientation])
    finished.info.clear()  # the old profile and orientation no longer hold
    return finished
