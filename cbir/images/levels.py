"""Samples of any type and range → levels of 8 bits.

Integers of 16 bits and more, and floats, do not say which value is white. The rules are those of
`white_of` and `_range_of_floats`; docs/formats.md states them for users.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["grey_image", "is_dark", "to_levels"]

Samples: TypeAlias = npt.NDArray[Any]
Levels: TypeAlias = npt.NDArray[np.uint8]

PARTIAL_WHITES = (255, 1023, 4095, 16383)
"""White of samples of 8, 10, 12 and 14 bits, which are often stored in 16."""
SAMPLED = 1 << 20
"""Number of values from which a range is estimated where all would take too long."""
ROWS = 1 << 22
"""Number of values that are converted at once."""
HIGHLIGHTS = 16
"""Largest float of a picture whose white is about 1, and whose highlights are brighter."""


def grey_image(image: Image.Image) -> Image.Image:
    """A Pillow image of 16-bit, 32-bit or float greys → L, or LA where one grey is transparent."""
    values = np.asarray(image)
    grey = Image.fromarray(to_levels(values))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int) and (values == transparent).any():
        alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
        return Image.merge("LA", (grey, Image.fromarray(alpha)))
    return grey


def is_dark(image: Image.Image) -> bool:
    """Whether no colour is brighter than the white of 14 bits is among 16."""
    extrema = image.getextrema()
    channels = extrema if isinstance(extrema[0], tuple) else (extrema,)
    colours = channels[:-1] if image.mode in ("LA", "RGBA") else channels
    return max(int(high) for _, high in colours) < 64


def to_levels(
    values: Samples,
    *,
    bits: int | None = None,
    white: int | None = None,
    inverted: bool = False,
    range_of: Samples | None = None,
) -> Levels:
    """Samples of any number type → uint8 of the same shape.

    `bits` is the number of bits that are used, `white` the largest value where the file states one;
    `inverted` samples are 0 where the image is white; `range_of` are the samples whose range is
    theirs, too.
    """
    if np.iscomplexobj(values):
        values = np.abs(values)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
        bits = 1
    low, high = _range_of(values if range_of is None else range_of, bits, white)
    levels = np.empty(values.shape, np.uint8)
    rows = max(1, ROWS // max(1, values[0].size if len(values) else 1))
    for start in range(0, len(values), rows):
        levels[start : start + rows] = _scaled(values[start : start + rows], low, high)
    return 255 - levels if inverted else levels


def _scaled(values: Samples, low: float, high: float) -> Levels:
    """Linear between black at `low` and white at `high`; NaN and infinities are black."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return np.asarray(values, np.uint8)
    if values.dtype.kind == "u" and low == 0 and high in (1023, 4095, 16383, 65535):
        shifted: Levels = np.minimum(values >> (int(high).bit_length() - 8), 255).astype(np.uint8)
        return shifted
    wide = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    wide[~np.isfinite(wide)] = low
    scale = 255 / (high - low) if high > low else 0
    scaled: Levels = np.rint(np.clip((wide - low) * scale, 0, 255)).astype(np.uint8)
    return scaled


def _range_of(values: Samples, bits: int | None, white: int | None) -> tuple[float, float]:
    """The values of black and white."""
    if values.size == 0:
        return 0, 1
    if values.dtype.kind == "f":
        return _range_of_floats(values)
    low, high = int(values.min()), int(values.max())
    if low < 0:
        limits = np.iinfo(values.dtype)
        if high - low > (int(limits.max) - int(limits.min)) // 2:
            return int(limits.min), int(limits.max)
        return low, high
    if white is not None and high <= white:
        return 0, white
    width = 8 * values.dtype.itemsize
    if bits is not None and bits not in (16, 32, 64) and bits <= width:
        return 0, (1 << bits) - 1
    if width == 8:
        return 0, 255
    return 0, white_of(values, high, signed=values.dtype.kind == "i")


def white_of(values: Samples, high: int, *, signed: bool) -> int:
    """White of integers of 16 bits and more whose largest is `high`.

    The largest value of 8, 10, 12 or 14 bits if none is above it, unless the values are those of 8
    bits, multiplied; then that of 16 bits; above that the largest value present, or of 32 bits if
    a quarter of their range is used.
    """
    if high <= PARTIAL_WHITES[-1]:
        sample = _sample(values)
        if high > 255 and (not (sample % 257).any() or not (sample % 256).any()):
            return 65535
        return next(white for white in PARTIAL_WHITES if high <= white)
    if high <= 65535:
        return 65535
    full = int(np.iinfo(values.dtype).max)
    return full if not signed and high > full // 4 else high


def _range_of_floats(values: Samples) -> tuple[float, float]:
    """Black and white of floats: the smallest usual white that no value exceeds.

    It is 1, also where few highlights are brighter; the 99th percentile up to 16; 255, or the white
    of 10 to 16 bits; else the largest value. Black is 0, or the least value if that is well below.
    """
    sample = _sample(values).astype(np.float64)
    sample = sample[np.isfinite(sample) & (sample > -1e30)]  # below that: no data
    if sample.size == 0:
        return 0, 1
    low, high = float(sample.min()), float(sample.max())
    if low < 0 and -low > 0.1 * high:
        return low, high
    most = float(np.percentile(sample, 99))
    if high <= 1 or (most <= 1 and (sample != np.rint(sample)).any()):
        return 0, 1
    if high <= HIGHLIGHTS:
        return 0, max(1.0, most)
    whites = (*PARTIAL_WHITES, 65535)
    return 0, next((float(white) for white in whites if high <= white), high)


def _sample(values: Samples) -> Samples:
    """At most `SAMPLED` of the values, evenly drawn."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLED)]
