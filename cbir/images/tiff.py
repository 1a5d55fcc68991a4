"""TIFFs: which picture is shown, and by what it is read.

Pillow reads the usual kinds. What it refuses or gets wrong (planar 16 bits, 12 bits, floats of
several channels, white-is-zero beyond 8 bits) is read by tifffile, whose compressions are those of
imagecodecs (the extra `tiff`).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from cbir.config import max_pixels
from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import tiff_directories as tags
from cbir.images.formats import lacking
from cbir.images.levels import is_dark
from cbir.images.mending import mend, missing_share
from cbir.images.pillow_file import PillowFile
from cbir.images.pixels import OpenedImage, StoredPixels
from cbir.images.raw import RawFile, is_raw
from cbir.images.tiff_directories import (
    Directory,
    first_offset,
    main_directory,
    read_directories,
    starting_at,
)
from cbir.images.tiff_samples import as_image
from cbir.types import Remark

__all__ = ["SampledTiff", "open_tiff"]

log = logging.getLogger(__name__)
logging.getLogger("tifffile").addHandler(logging.NullHandler())

BYTES_PER_PIXEL = 32
"""Most bytes of samples per pixel: eight channels of float32."""

_PILLOWS: Mapping[int, Set[tuple[int, ...]]] = {
    0: {(1,), (2,), (4,), (8,)},
    1: {(1,), (2,), (4,), (8,), (16,), (8, 8)},
    2: {(8,) * 3, (8,) * 4, (16,) * 3, (16,) * 4},
    3: {(1,), (2,), (4,), (8,)},
    5: {(8,) * 4},
    6: {(8,) * 3},
    8: {(8,) * 3},
}
"""Photometric interpretation → bits of each sample, where Pillow reads unsigned integers right."""
_PILLOWS_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000})
"""None, CCITT, LZW, JPEG, Deflate, PackBits, LZMA, Zstandard: what libtiff is always built with."""


def open_tiff(data: bytes, kind: str) -> OpenedImage:
    """Open the picture of a TIFF, which is not always its first directory."""
    directories = read_directories(data)
    if not directories:
        if first_offset(data) >= len(data):
            raise ImageError("truncated: the TIFF data ends early")
        return PillowFile(data, kind)
    if is_raw(data, directories):
        return RawFile(data, directories)
    main = main_directory(directories)
    if main is not directories[0]:
        data = starting_at(data, main)
    if not _pillow_reads(main):
        return SampledTiff(data, main)
    try:
        return PillowTiff(data, main)
    except Exception:  # for example a big-endian file of more than 4 GB's layout
        if max_pixels() < main.pixels:
            raise
        return SampledTiff(data, main)


class PillowTiff(PillowFile):
    """A TIFF that Pillow reads, unless it uses a few of its 16 bits alone."""

    def __init__(self, data: bytes, directory: Directory) -> None:
        super().__init__(data, "tiff")
        self._directory = directory

    def load(self, least: tuple[int, int] | None) -> StoredPixels:
        if self._directory.number(tags.COMPRESSION, 1) != 1 and missing_share(self._data) > 0:
            raise ImageError("truncated: the TIFF data ends early")  # libtiff would print it
        try:
            pixels = super().load(least)
        except (ImageError, MemoryError):
            raise
        except Exception:
            try:
                return SampledTiff(self._data, self._directory).load(least)
            except Exception:
                log.debug("tifffile does not read it either", exc_info=True)
            raise
        deep = self._directory.number(tags.BITS, 1) == 16 and pixels.image.mode != "L"
        if deep and is_dark(pixels.image):  # Pillow keeps the upper 8 bits alone
            try:
                return SampledTiff(self._data, self._directory).load(least)
            except ImageError:
                return pixels
        return pixels


class SampledTiff:
    """A TIFF that tifffile reads as an array of samples."""

    def __init__(self, data: bytes, directory: Directory) -> None:
        self._data = data
        self._directory = directory

    @property
    def size(self) -> tuple[int, int]:
        return self._directory.size

    @property
    def most_pixels(self) -> int:
        return max_pixels()

    def load(self, least: tuple[int, int] | None) -> StoredPixels:
        directory, data = self._directory, self._data
        count, bits = directory.number(tags.SAMPLES, 1), max(directory.tags.get(tags.BITS, (1,)))
        if count * bits > 8 * BYTES_PER_PIXEL * max(1, max_pixels() // max(1, directory.pixels)):
            raise ImageTooLargeError(
                f"{count:,} samples of {bits} bits per pixel are more than fit in memory; "
                "CBIR_MAX_PIXELS raises the limit"
            )
        remarks: tuple[Remark, ...] = ()
        if (mended := mend("tiff", data, self.size)) is not None:
            data, remark = mended
            remarks = (remark,)
        samples, profile = _read_samples(data, directory)
        image, profile = as_image(samples, directory, profile)
        orientation = directory.number(tags.ORIENTATION, 1)
        if not 1 <= orientation <= 8:
            orientation = 1
        return StoredPixels(image, image.size, image.size, orientation, profile, remarks)

    def close(self) -> None:
        """Nothing is open."""


def _pillow_reads(directory: Directory) -> bool:
    """Whether Pillow decodes this kind of samples, and decodes it right."""
    count = directory.number(tags.SAMPLES, 1)
    bits = directory.tags.get(tags.BITS, (1,))
    if len(bits) == 1:
        bits *= min(count, 16)
    known = _PILLOWS.get(directory.number(tags.PHOTOMETRIC, 1), frozenset())
    return (
        bits in known
        and directory.number(tags.COMPRESSION, 1) in _PILLOWS_COMPRESSIONS
        and set(directory.tags.get(tags.SAMPLE_FORMAT, (1,))) == {1}
        and (directory.number(tags.PLANAR, 1) == 1 or count == 1 or bits == (8, 8, 8))
        and (set(bits) != {16} or tags.MAX_SAMPLE not in directory.tags)
    )


def _read_samples(data: bytes, directory: Directory) -> tuple[npt.NDArray[Any], bytes | None]:
    """The samples (H, W, S) of the first directory, and its ICC profile."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages.first
        compression = int(page.compression)
        try:
            samples = np.asarray(page.asarray(maxworkers=1))
        except (KeyError, ValueError, ImportError) as error:
            if "imagecodecs" in str(error):
                name = getattr(page.compression, "name", compression)
                raise lacking(f"a TIFF of this kind with {name} compression", "tiff") from error
            raise
        axes = page.axes
        profile = page.tags.get("InterColorProfile")
    axes = str(axes)
    for axis in [axis for axis in axes if axis not in "YXS"]:  # volumes and the like: the first
        samples = samples.take(0, axes.index(axis))
        axes = axes.replace(axis, "", 1)
    order = [axes.index(axis) for axis in "YXS" if axis in axes]
    samples = samples.transpose(order)
    if samples.ndim == 2:
        samples = samples[..., None]
    return samples, profile.value if profile is not None else None
