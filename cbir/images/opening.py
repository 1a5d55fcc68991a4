"""Opens encoded images with Pillow: the header first, with its limits, and then the pixels.

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

# Pillow logs what is wrong with a file before it raises; without any handler that is printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())
_FROM_PILLOW = re.compile(r"PIL\.")


def check_header(data: bytes) -> None:
    """Raise ImageError if these bytes are no image, too large, or damaged where they begin."""
    with opened(data):
        pass


def opened(source: bytes | Image.Image) -> AbstractContextManager[Image.Image]:
    """The image, its size checked; any error in the block is an ImageError.

    Of an encoded image only the header is read. A Pillow image is loaded.
    """
    return _loaded(source) if isinstance(source, Image.Image) else _opened_file(source)


@contextmanager
def _loaded(image: Image.Image) -> Iterator[Image.Image]:
    width, height = image.size
    if not (width and height):
        raise ImageError(f"an image of {width} × {height} pixels shows nothing")
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
