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

__all__ = ["mend", "mend_header"]

MISSING = 0.05
"""Largest share of a picture that may be missing."""

Mender: TypeAlias = Callable[[bytes, tuple[int, int]], "tuple[bytes, float] | None"]
"""From the bytes and the size of an image to mended bytes, and the share of the picture that is
missing in them; None for damage that it cannot mend."""


def mend_header(kind: str, data: bytes) -> MendedHeader | None:
    """The file without superfluous parts that keep Pillow from opening it; None without any."""
    return mend_png_header(data) if kind == "png" else None


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
    """A RIFF file that is shorter than it says, padded with zeros."""
    whole = struct.unpack_from("<I", data, 4)[0] + 8 if len(data) >= 12 else 0
    missing = whole - len(data)
    return (data + bytes(missing), missing / whole) if 0 < missing < len(data) else None


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
