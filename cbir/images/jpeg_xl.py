"""JPEG XL, read with pillow-jxl-plugin, whose decoder starts before Pillow knows the size."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL.Image import Exif
from pillow_jxl import JpegXLImagePlugin

from cbir.config import max_pixels
from cbir.errors import ImageTooLargeError

__all__ = ["JpegXlFile", "jpeg_xl_size"]

_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_BITS = (9, 13, 18, 30)

# Images are decoded in parallel, one a thread.
JpegXLImagePlugin.DECODE_THREADS = 0


class JpegXlFile(JpegXLImagePlugin.JXLImageFile):
    """A JPEG XL image whose size is checked before it is decoded."""

    def _open(self) -> None:
        assert self.fp is not None
        width, height = jpeg_xl_size(self.fp.read())
        self.fp.seek(0)
        if width * height > (limit := max_pixels()):
            raise ImageTooLargeError(
                f"{width:,} × {height:,} pixels is above the limit of {limit / 1e6:,.1f} "
                "megapixels; CBIR_MAX_PIXELS raises it"
            )
        try:
            super()._open()  # type: ignore[no-untyped-call]
        except Exception as error:  # it advises to build its library anew
            raise ValueError("its data is damaged") from error
        if not self.jpeg:  # the decoder has turned it upright, whatever its EXIF says
            self.info.pop("exif", None)

    def getexif(self) -> Exif:
        return super().getexif() if self.jpeg else Exif()


def jpeg_xl_size(data: bytes) -> tuple[int, int]:
    """Width and height from the header (ISO/IEC 18181-1, SizeHeader). Raises ValueError."""
    bits = _bits(_codestream(data)[2:14])

    def take(count: int) -> int:
        return sum(next(bits) << place for place in range(count))

    def side(*, in_eights: bool) -> int:
        return 8 * (take(5) + 1) if in_eights else take(_BITS[take(2)]) + 1

    try:
        in_eights = bool(take(1))
        height = side(in_eights=in_eights)
        ratio = take(3)
        if ratio == 0:
            return side(in_eights=in_eights), height
    except StopIteration:
        raise ValueError("the header ends early") from None
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


def _bits(data: bytes) -> Iterator[int]:
    for byte in data:
        for place in range(8):
            yield byte >> place & 1


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream, bare or in its container's box."""
    if not data.startswith(_CONTAINER):
        return data[:16]
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        if kind in (b"jxlc", b"jxlp"):
            begin += 4 * (kind == b"jxlp")
            return data[begin : begin + 16]
        if size < 8:
            break
        at += size
    raise ValueError("no codestream in the container")
