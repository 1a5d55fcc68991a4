"""Camera RAW: shown by an embedded JPEG of full size, or developed by LibRaw (the extra `raw`).

The first picture in most RAW files is a small preview, which is never taken for the photograph.
LibRaw runs in a process of its own: a file that crashes it fails alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from PIL import Image

from cbir.config import max_pixels
from cbir.errors import ImageError
from cbir.images import tiff_directories as tags
from cbir.images.formats import lacking
from cbir.images.jpeg_markers import jpegs_within
from cbir.images.pillow_file import PillowFile
from cbir.images.pixels import StoredPixels
from cbir.images.tiff_directories import Directory
from cbir.types import Remark

__all__ = ["RawFile", "is_raw", "open_raw"]

FILTER_ARRAY, LINEAR_RAW = 32803, 34892
RAW_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}
"""Of Sony, Epson, Samsung, Nikon, Kodak and Pentax."""
FULL = 0.9
"""Least share of the sensor's width and height that an embedded JPEG of full size has."""
TIMEOUT_S = 120
UPRIGHT_FLIPS = {0: 1, 3: 3, 5: 8, 6: 6}
"""LibRaw's flip → EXIF orientation."""

DEVELOP = """
import io, sys
import rawpy
with rawpy.imread(io.BytesIO(sys.stdin.buffer.read())) as raw:
    sizes = raw.sizes
    width, height, flip = sizes.iwidth, sizes.iheight, sizes.flip
    if flip in (5, 6):
        width, height = sizes.width, sizes.height
    head = [width, height, flip, 0, 0]
    pixels = b""
    if width * height <= {limit} and {least} is not None:
        half = min(width, height) >= 2 * {least}
        developed = raw.postprocess(use_camera_wb=True, user_flip=0, half_size=half)
        head[3:] = developed.shape[1], developed.shape[0]
        pixels = developed.tobytes()
sys.stdout.buffer.write(" ".join(map(str, head)).encode() + b"\\n" + pixels)
"""


def is_raw(data: bytes, directories: Sequence[Directory]) -> bool:
    """Whether a TIFF is camera RAW: what it contains are values of a sensor."""
    if data[8:10] == b"CR":  # Canon's CR2
        return True
    if tags.DNG_VERSION in directories[0].tags and all(d.is_reduced for d in directories):
        return True
    return any(
        directory.number(tags.PHOTOMETRIC, 0) in (FILTER_ARRAY, LINEAR_RAW)
        or directory.number(tags.COMPRESSION, 1) in RAW_COMPRESSIONS
        for directory in directories
    )


def open_raw(data: bytes, kind: str) -> RawFile:
    """Open a RAW file that is no TIFF."""
    return RawFile(data, ())


class RawFile:
    """A camera RAW file."""

    def __init__(self, data: bytes, directories: Sequence[Directory]) -> None:
        """Find the sensor's size and the embedded JPEGs. Raises ImageError without the extra."""
        self._data = data
        sensors = [d.size for d in directories if not d.is_reduced and d.pixels]
        orientation = directories[0].number(tags.ORIENTATION, 1) if directories else 1
        self._orientation = orientation if 1 <= orientation <= 8 else 1
        self._sensor = max(sensors, key=lambda size: size[0] * size[1], default=(0, 0))
        self.size = self._sensor
        self._preview = self._full_preview()
        if self._preview is not None:
            self.size = self._preview.size
        elif find_spec("rawpy") is None:
            raise self._lacking()
        if not all(self.size):
            self.size = self._develop(None)[0]

    @property
    def most_pixels(self) -> int:
        return max_pixels() if self._preview is None else self._preview.most_pixels

    def load(self, least: tuple[int, int] | None) -> StoredPixels:
        """Decode the embedded JPEG, or develop the RAW, at half the size if that is enough."""
        if self._preview is not None:
            pixels = self._preview.load(least)
            text = "camera RAW, shown by the JPEG of full size in it"
            width, height = self._sensor
            turned_already = (width > height) != (pixels.full[0] > pixels.full[1])
            orientation = 1 if turned_already else self._orientation
            return replace(
                pixels, orientation=orientation, remarks=(*pixels.remarks, Remark("raw", text))
            )
        size, flip, developed = self._develop(least or self.size)
        self.size = size
        assert developed is not None
        remark = Remark("raw", "camera RAW, developed with the camera's white balance")
        orientation = UPRIGHT_FLIPS.get(flip, 1)
        return StoredPixels(developed, size, developed.size, orientation, None, (remark,))

    def close(self) -> None:
        if self._preview is not None:
            self._preview.close()

    def _full_preview(self) -> PillowFile | None:
        """The largest embedded JPEG, if it has the size of the photograph."""
        if not all(self.size):
            return None
        sensor = sorted(self.size)
        for start, size in jpegs_within(self._data):
            if all(side >= FULL * whole for side, whole in zip(sorted(size), sensor, strict=True)):
                return PillowFile(self._data[start:], "jpeg")
        return None

    def _develop(
        self, least: tuple[int, int] | None
    ) -> tuple[tuple[int, int], int, Image.Image | None]:
        """The size as stored, LibRaw's flip, and the pixels unless `least` is None."""
        code = DEVELOP.format(limit=max_pixels(), least=least and min(least))
        try:
            run = subprocess.run(
                [sys.executable, "-c", code],
                input=self._data,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ImageError(f"camera RAW that LibRaw could not develop: {error}") from error
        head, _, pixels = run.stdout.partition(b"\n")
        if run.returncode != 0 or not head:
            lines = run.stderr.decode(errors="replace").strip().splitlines()
            reason = lines[-1].rpartition(": ")[2] if lines else "it crashed"
            reason = reason.removeprefix("b").strip("'\"")  # rawpy's messages are bytes
            raise ImageError(f"camera RAW that LibRaw cannot develop: {reason}")
        width, height, flip, columns, rows = map(int, head.split())
        if not pixels:
            return (width, height), flip, None
        return (width, height), flip, Image.frombytes("RGB", (columns, rows), pixels)

    def _lacking(self) -> ImageError:
        size = f" of {self.size[0]:,} × {self.size[1]:,} pixels" if all(self.size) else ""
        return lacking(f"camera RAW{size} without a JPEG of that size in it", "raw")
