"""The samples of a TIFF → an image of 8 bits, by its photometric interpretation."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbir.errors import ImageError
from cbir.images import tiff_directories as tags
from cbir.images.levels import to_levels
from cbir.images.tiff_directories import Directory

__all__ = ["as_image"]

Samples: TypeAlias = npt.NDArray[Any]

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR = range(7)
CIELAB, ICCLAB = 8, 9
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, MASK: 1, CMYK: 4, YCBCR: 3}
COLOURS |= {CIELAB: 3, ICCLAB: 3}
"""Samples per pixel of each photometric interpretation, without extra samples."""
PREMULTIPLIED, ALPHA = 1, 2
CODED_COLOURS = {7, 33003, 33004, 33005, 34712, 50001, 50002, 52546}
"""Compressions whose decoders return RGB for YCbCr."""


def as_image(
    samples: Samples, directory: Directory, profile: bytes | None
) -> tuple[Image.Image, bytes | None]:
    """Samples (H, W, S) → an image of mode L, LA, RGB, RGBA or CMYK, and the profile it is in."""
    photometric = directory.number(tags.PHOTOMETRIC, BLACK_IS_ZERO)
    if photometric not in COLOURS:
        raise ImageError(f"a TIFF of colours that are not read (photometric {photometric})")
    count = COLOURS[photometric]
    if photometric == CMYK and directory.number(tags.INKS, 1) != 1:
        raise ImageError("a TIFF of inks other than cyan, magenta, yellow and black is not read")
    if samples.shape[2] < count:
        raise ImageError(f"a TIFF with {samples.shape[2]} of {count} channels is not read")
    samples = _without_gaps(samples, directory)
    colours = _colours(samples[..., :count], photometric, directory)
    extra = directory.tags.get(tags.EXTRA_SAMPLES, ())
    kind = extra[0] if extra else (ALPHA if samples.shape[2] == count + 1 else 0)
    if samples.shape[2] == count or kind not in (PREMULTIPLIED, ALPHA):
        return colours, profile
    signed = samples.dtype.kind == "i"
    alpha = Image.fromarray(
        _levels(samples[..., count], directory, range_of=samples if signed else None)
    )
    if colours.mode == "CMYK":
        from cbir.images.colour import to_srgb

        colours, profile = to_srgb(colours, profile), None
    if kind == ALPHA:
        colours.putalpha(alpha)
        return colours, profile
    mode = "La" if colours.mode == "L" else "RGBa"
    bands = (*colours.split(), alpha)
    premultiplied = np.dstack([np.asarray(band) for band in bands])
    raw = Image.frombytes(mode, colours.size, premultiplied.tobytes())
    return raw.convert("LA" if mode == "La" else "RGBA"), profile


def _colours(samples: Samples, photometric: int, directory: Directory) -> Image.Image:
    """The colours (H, W, S) without alpha as an image."""
    if photometric == PALETTE:
        return _from_palette(samples[..., 0], directory)
    if photometric in (CIELAB, ICCLAB):
        return _from_lab(samples, photometric)
    levels = _levels(samples, directory, inverted=photometric == WHITE_IS_ZERO)
    if levels.shape[2] == 1:
        return Image.fromarray(np.ascontiguousarray(levels[..., 0]))
    coded = directory.number(tags.COMPRESSION, 1) in CODED_COLOURS
    mode = {CMYK: "CMYK", YCBCR: "RGB" if coded else "YCbCr"}.get(photometric, "RGB")
    image = Image.frombytes(mode, levels.shape[1::-1], levels.tobytes())
    return image.convert("RGB") if mode == "YCbCr" else image


def _levels(
    samples: Samples,
    directory: Directory,
    *,
    inverted: bool = False,
    range_of: Samples | None = None,
) -> npt.NDArray[np.uint8]:
    bits = directory.number(tags.BITS, 1)
    white = directory.number(tags.MAX_SAMPLE, 0)
    stated = white if white > 1 and white & (white + 1) == 0 else None
    return to_levels(samples, bits=bits, white=stated, inverted=inverted, range_of=range_of)


def _without_gaps(samples: Samples, directory: Directory) -> Samples:
    """The samples with 0 where the file says that there are no data (GDAL's tag)."""
    text = bytes(v & 255 for v in directory.tags.get(tags.NO_DATA, ())).strip(b"\0 ")
    try:
        value = float(text)
    except ValueError:
        return samples
    missing = samples == value
    if not missing.any() or missing.all():
        return samples
    return np.where(missing, samples[~missing].min(), samples)


def _from_palette(indices: Samples, directory: Directory) -> Image.Image:
    """Indices of any width into a palette of 16-bit colours."""
    palette = np.array(directory.tags.get(tags.COLOURS, ()), np.uint16)
    if palette.size == 0 or palette.size % 3:
        raise ImageError("a TIFF with a palette that is missing or incomplete is not read")
    colours = to_levels(palette.reshape(3, -1).T, bits=16, white=None)
    return Image.fromarray(colours[np.minimum(indices.astype(np.intp), len(colours) - 1)])


def _from_lab(samples: Samples, photometric: int) -> Image.Image:
    """L*a*b* of 8 or 16 bits; a and b are signed in CIELAB, and offset by half in ICCLAB."""
    levels = samples.astype(np.int64)
    if samples.dtype.itemsize == 2:
        levels = (levels & 0xFFFF) >> 8
    elif samples.dtype.itemsize != 1:
        raise ImageError("a TIFF with L*a*b* of more than 16 bits is not read")
    levels = levels & 255
    if photometric == ICCLAB:
        levels[..., 1:] ^= 128  # Pillow's LAB is signed
    pixels = levels.astype(np.uint8)
    lab = Image.frombytes("LAB", pixels.shape[1::-1], pixels.tobytes())
    return lab.convert("RGB")
