"""Images that Pillow reads: opened by their header, decoded, and mended where they are damaged."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from cbir.config import max_pixels
from cbir.errors import ImageError
from cbir.images.colour import resamplable
from cbir.images.deep_png import with_all_bits
from cbir.images.formats import plugin_of
from cbir.images.frames import first_to_show
from cbir.images.jpeg import decode_jpeg, most_jpeg_pixels
from cbir.images.jpeg_end import ends_in_grey, ends_in_zeros, mend_jpeg
from cbir.images.mending import mend, mend_header
from cbir.images.orientation import orientation_of
from cbir.images.pixels import StoredPixels

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from cbir.types import Remark

__all__ = ["LoadedImage", "PillowFile"]


class PillowFile:
    """An encoded image that a Pillow plugin reads."""

    def __init__(self, data: bytes, kind: str) -> None:
        """Read the header; one with a fault that browsers pass over is mended first."""
        self._data = data
        self._kind = kind
        self._profile: bytes | None = None
        self._remarks: tuple[Remark, ...] = ()
        try:
            self._image = self._open(data)
        except (ImageError, MemoryError, Image.DecompressionBombError):
            raise
        except Exception:
            if not self._mend_header():
                raise

    @property
    def size(self) -> tuple[int, int]:
        return self._image.size

    @property
    def most_pixels(self) -> int:
        return most_jpeg_pixels(self._image) if self._kind == "jpeg" else max_pixels()

    def load(self, least: tuple[int, int] | None) -> StoredPixels:
        """Decode it; a damaged file as far as possible, with a remark, if little is missing."""
        try:
            return self._load(self._image, self._data, least)
        except (ImageError, MemoryError, Image.DecompressionBombError):
            raise
        except Exception:  # damaged bytes make Pillow's parsers raise almost anything
            if not self._remarks and self._mend_header():
                return self.load(least)
            mended = mend(self._kind, self._data, self.size)
            if mended is None:
                raise
            data, remark = mended
            with self._open(data) as image:
                pixels = self._load(image, data, least)
            return replace(pixels, remarks=(*pixels.remarks, remark))

    def close(self) -> None:
        self._image.close()

    def _open(self, data: bytes) -> ImageFile:
        return plugin_of(self._kind)(io.BytesIO(data), "")

    def _mend_header(self) -> bool:
        """Open the file again without the parts that keep it from being read, if there are any."""
        mended = mend_header(self._kind, self._data)
        if mended is None or mended.data == self._data:
            return False
        self._data, self._profile, self._remarks = mended.data, mended.profile, mended.remarks
        self._image = self._open(mended.data)
        return True

    def _missing_before_its_end(self) -> tuple[Remark, ...]:
        """A remark if a JPEG's end marker precedes the end of its picture.

        Raises EOFError if much is missing. The last row of a sound one may be as grey.
        """
        lost = mend_jpeg(self._data, self.size)
        if lost is None or lost[1] == 0:
            return ()
        mended = mend(self._kind, self._data, self.size)
        if mended is None:
            raise EOFError
        return (mended[1],)

    def _load(self, image: ImageFile, data: bytes, least: tuple[int, int] | None) -> StoredPixels:
        full = image.size
        remarks = self._remarks
        if self._kind == "jpeg":
            if ends_in_zeros(data):  # which would be decoded as if they were pixels
                raise EOFError
            shown, end = decode_jpeg(image, least)
            if ends_in_grey(shown) and data is self._data:
                remarks += self._missing_before_its_end()
            shown = resamplable(shown)
        else:
            animated = getattr(image, "is_animated", False)
            image.load()
            # Size after loading: Pillow turns a TIFF upright when it loads it.
            full = end = image.size
            shown = resamplable(image)
            if self._kind == "png":
                shown = with_all_bits(data, shown)
            if animated:
                shown, remark = first_to_show(image, shown)
                remarks += remark
        profile = self._profile or image.info.get("icc_profile")
        return StoredPixels(shown, full, end, orientation_of(image), profile, remarks)


class LoadedImage:
    """A Pillow image of the caller's, of any mode, which is not changed."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @property
    def size(self) -> tuple[int, int]:
        return self._image.size

    @property
    def most_pixels(self) -> int:
        return max_pixels()

    def load(self, least: tuple[int, int] | None) -> StoredPixels:
        image = self._image
        image.load()  # Pillow reads the pixels of a file only now
        profile = image.info.get("icc_profile")
        size = image.size
        return StoredPixels(resamplable(image), size, size, orientation_of(image), profile)

    def close(self) -> None:
        """Nothing: the image is the caller's."""
