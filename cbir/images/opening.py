"""Opens encoded images with Pillow: the header first, checked against limits, then the pixels.

The bytes are not trusted. Every failure is an ImageError whose message is a short reason.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from PIL import Image

from cbir.config import max_pixels
from cbir.errors import ImageError, ImageFormatError, ImageTooLargeError
from cbir.images.formats import KNOWN_FORMATS, SIGNATURE_BYTES, plugin_of, sniff_format

__all__ = ["check_header", "load_pixels", "opened"]

# Pillow logs a fault of a file before it raises; without a log handler that would be printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())
_FROM_PILLOW = re.compile(r"PIL\.")


def check_header(data: bytes) -> None:
    """Raise ImageError if the bytes are not an image, too large, or have a damaged header."""
    with opened(data):
        pass


def opened(source: bytes | Image.Image) -> AbstractContextManager[Image.Image]:
    """Open an image and check its size; any error in the block becomes an ImageError.

    Of an encoded image only the header is read. A Pillow image is loaded.
    """
    return _loaded(source) if isinstance(source, Image.Image) else _opened_file(source)


@contextmanager
def _loaded(image: Image.Image) -> Iterator[Image.Image]:
    width, height = image.size
    if not (width and height):
        raise ImageError(f"an image of {width} × {height} pixels is empty")
    if width * height > (limit := max_pixels()):
        raise ImageTooLargeError(_too_large(width, height, limit))
    try:
        image.load()  # Pillow reads the pixels of a file only now
        yield image
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    except Exception as error:
        raise ImageError(_reason(error, image.format or "image")) from error


@contextmanager
def _opened_file(data: bytes) -> Iterator[Image.Image]:
    kind = sniff_format(data[:SIGNATURE_BYTES])
    if kind is None:
        formats = ", ".join(name.upper() for name in KNOWN_FORMATS)
        reason = f"not an image in a known format ({formats})" if data else "empty file"
        raise ImageFormatError(reason)
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


def load_pixels(
    image: Image.Image, least_width: int, least_height: int
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Decode the image; a JPEG at a reduced size that is not below the least width and height.

    Returns the full size and where its right and lower edges lie in the decoded pixels. Where the
    size is not a multiple of the reduction, a part of the last column or row lies beyond the edge;
    counting that part as image would shift all other pixels (four times the error, measured).
    """
    full = image.size
    # Not for HEIC: the thumbnail that draft mode may choose there can be a different picture.
    is_jpeg = image.format in ("JPEG", "MPO")
    drafted = image.draft(None, (least_width, least_height)) if is_jpeg else None
    image.load()
    if drafted is None:
        # Size after loading: Pillow turns a TIFF upright when it loads it.
        return image.size, image.size
    _, (_, _, x_end, y_end) = drafted
    return full, (x_end, y_end)


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
