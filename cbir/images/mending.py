"""Reads damaged files as far as browsers show them, if little of the picture is missing.

Pillow refuses such files as a whole. Its switch for truncated ones is global, for all threads and
for the caller's program, so that the bytes are mended instead.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

from cbir.images import tiff_directories as tags
from cbir.images.jpeg_end import mend_jpeg
from cbir.images.png_chunks import MendedHeader, mend_png, mend_png_header
from cbir.images.tiff_directories import read_directories
from cbir.types import Remark

__all__ = ["mend", "mend_header", "missing_share"]

SPARE = 64
"""Bytes beyond the end, as WebP's decoder looks ahead."""
MISSING = 0.05
"""Largest share of a picture that may be missing."""

Mender: TypeAlias = Callable[[bytes, tuple[int, int]], "tuple[bytes, float] | None"]
"""From the bytes and the size of an image to mended bytes, and the share of the picture that is
missing in them; None for damage that it cannot mend."""


def mend_header(kind: str, data: bytes) -> MendedHeader | None:
    """The file as Pillow opens it; None for a format of which it opens damaged files, too.

    A PNG loses the superfluous parts that Pillow refuses, a WebP gets the end that it lacks.
    """
    if kind == "png":
        return mend_png_header(data)
    if kind == "webp" and (mended := mend(kind, data, (0, 0))) is not None:
        return MendedHeader(mended[0], None, (mended[1],))
    return None


def mend(kind: str, data: bytes, size: tuple[int, int]) -> tuple[bytes, Remark] | None:
    """Bytes that decode to the undamaged part of an image, and the remark; None if too little."""
    mender = _MENDERS.get(kind)
    mended = None if mender is None else mender(data, size)
    if mended is None or mended[1] > MISSING:
        return None
    lost = mended[1]
    text = "only the end of the file is missing" if lost == 0 else f"{_percent(lost)} is missing"
    return mended[0], Remark("damaged", f"damaged, read as far as possible: {text}")


def _percent(share: float) -> str:
    return "less than 1 % of the picture" if share < 0.01 else f"{share:.0%} of the picture"


def _mend_bmp(data: bytes, size: tuple[int, int]) -> tuple[bytes, float] | None:
    """Uncompressed rows, padded with zeros: the upper rows, which come last, become black."""
    if len(data) < 34 or struct.unpack_from("<I", data, 30)[0] in (1, 2):  # run-length encoded
        return None
    (start,), (bits,) = struct.unpack_from("<I", data, 10), struct.unpack_from("<H", data, 28)
    whole = (size[0] * bits + 31) // 32 * 4 * size[1]
    missing = start + whole - len(data)
    return (data + bytes(missing), missing / whole) if 0 < missing < whole else None


def _mend_webp(data: bytes, size: tuple[int, int]) -> tuple[bytes, float] | None:
    """A file that is shorter than it says, padded with zeros; its last chunk is made longer."""
    at, end = 12, 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        at, end = at + 8 + length + length % 2, at
    missing = at - len(data)
    if not 0 < missing < len(data):
        return None
    padded = bytearray(data + bytes(missing + SPARE))
    struct.pack_into("<I", padded, 4, len(padded) - 8)
    struct.pack_into("<I", padded, end + 4, len(padded) - end - 8)
    return bytes(padded), missing / at


def missing_share(tiff: bytes) -> float:
    """The share of the bytes of a TIFF's first picture that lies beyond its end."""
    mended = _mend_tiff(tiff, (0, 0))
    return 0.0 if mended is None else mended[1]


def _mend_tiff(data: bytes, size: tuple[int, int]) -> tuple[bytes, float] | None:
    """Strips or tiles that reach beyond the end, padded with zeros."""
    directories = read_directories(data)
    if not directories:
        return None
    values = directories[0].tags
    starts = values.get(tags.STRIPS) or values.get(tags.TILES) or ()
    sizes = values.get(tags.STRIP_BYTES) or values.get(tags.TILE_BYTES) or ()
    end = max(map(sum, zip(starts, sizes, strict=False)), default=0)
    missing, whole = end - len(data), sum(sizes)
    return (data + bytes(missing), missing / whole) if 0 < missing < whole else None


_MENDERS: Mapping[str, Mender] = {
    "jpeg": mend_jpeg,
    "png": mend_png,
    "bmp": _mend_bmp,
    "tiff": _mend_tiff,
    "webp": _mend_webp,
}
