"""Opens images: the header first, checked against limits, then the pixels.

The bytes are not trusted. Every failure is an ImageError whose message is a short reason.
"""

from __future__ import annotations

import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from PIL import Image

from cbir.config import max_pixels
from cbir.errors import ImageError, ImageFormatError, ImageTooLargeError
from cbir.images.formats import FORMATS, SIGNATURE_BYTES, sniff_format
from cbir.images.pillow_file import LoadedImage
from cbir.images.pixels import OpenedImage
from cbir.registry import load_part

__all__ = ["check_header", "opened"]

# Pillow logs a fault of a file before it raises; without a log handler that would be printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())
_FROM_PILLOW = re.compile(r"PIL\.")


def check_header(data: bytes) -> None:
    """Raise ImageError if the bytes are not an image, too large, or have a damaged header."""
    with opened(data):
        pass


@contextmanager
def opened(source: bytes | Image.Image) -> Iterator[OpenedImage]:
    """Open an image and check its size; any error in the block becomes an ImageError.

    Only the header of an encoded image is read.
    """
    limit = max_pixels()
    kind = ""
    try:
        if isinstance(source, Image.Image):
            kind = source.format or "image"
            image: OpenedImage = LoadedImage(source)
        else:
            kind = _sniffed(source)
            _prepare_pillow(limit)
            image = load_part(FORMATS[kind].opener)(source, kind)
        with closing(image):
            _check_size(image)
            yield image
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"above the limit of {_mega(limit)} megapixels; CBIR_MAX_PIXELS raises it"
        ) from error
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except Exception as error:  # damaged bytes make parsers raise almost anything
        raise ImageError(_reason(error, kind)) from error


def _sniffed(data: bytes) -> str:
    """The format of the bytes. Raises ImageFormatError if it is none of those known."""
    kind = sniff_format(data[:SIGNATURE_BYTES])
    if kind is None:
        formats = ", ".join(known.label for known in FORMATS.values())
        reason = f"not an image in a known format ({formats})" if data else "empty file"
        raise ImageFormatError(reason)
    return kind


def _check_size(image: OpenedImage) -> None:
    width, height = image.size
    if not (width and height):
        raise ImageError(f"an image of {width} × {height} pixels is empty")
    if width * height > (limit := image.most_pixels):
        raise ImageTooLargeError(_too_large(width, height, limit))


def _prepare_pillow(limit: int) -> None:
    """Raise Pillow's size limit to ours, and silence its warnings about unusual files."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, limit)
    # Serious damage raises an error anyway. warnings.catch_warnings is not thread-safe, so the
    # filter is permanent, and added again where another catch_warnings has dropped it.
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
    # An error in a header's parser arrives wrapped, as SyntaxError(error).
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    text = " ".join(str(cause).split())[:200]
    if "truncated" in text.lower() or isinstance(cause, (EOFError, IndexError, struct.error)):
        return f"truncated: the {kind} data ends early"
    if not text or isinstance(cause, KeyError):  # the text of a KeyError is a bare key
        return f"unreadable {kind}: its parts do not fit together"
    return f"unreadable {kind}: {text}"
