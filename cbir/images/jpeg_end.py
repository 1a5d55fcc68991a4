"""JPEGs whose end is missing: how much of the picture they lack."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cbir.images.jpeg_markers import (
    BASELINE,
    END,
    PROGRESSIVE,
    Scan,
    frame_and_scans,
    is_complete,
)

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ends_in_grey", "ends_in_zeros", "mend_jpeg"]

_OTHER_DATA = bytes([0x5A, 0xC3, 0x96, 0x3C]) * 1024
"""Entropy-coded data, any that contains no marker."""
ZEROS = bytes(64)


def ends_in_zeros(data: bytes) -> bool:
    """Whether a file that was allocated but not written to its end lacks the end of its picture."""
    return data.endswith(ZEROS) and not is_complete(data)


def ends_in_grey(image: Image.Image) -> bool:
    """Whether the last pixel may be what a decoder fills missing data with: mid grey."""
    last = image.getpixel((image.width - 1, image.height - 1))
    return last in (128, (128, 128, 128))


def mend_jpeg(data: bytes, size: tuple[int, int]) -> tuple[bytes, float] | None:
    """The file with an end marker, and the share of blocks that are missing before it.

    The decoder fills what is missing with grey. Where it begins is seen by decoding the file a
    second time with other data in its place. Of a progressive file only the last scan, which
    refines the picture, may be incomplete.
    """
    data = data.rstrip(b"\0").removesuffix(END).rstrip(b"\xff")
    frame, scans = frame_and_scans(data)
    if frame not in BASELINE and (frame != PROGRESSIVE or not _refines_fully(scans)):
        return None
    least = (1, 1) if frame in BASELINE else size  # an eighth shows blocks, but no refinement
    repeats = 1 + min(len(data), 1 << 24) // len(_OTHER_DATA)
    filled = _decode(data + END, least)
    other = _decode(data + _OTHER_DATA * repeats + END, least)
    differing = (filled != other).any(axis=-1)
    if not differing.any():
        return data + END, 0.0
    # From the first differing block on all is missing, also where the other data end before. Two
    # rows of blocks are coded together where colours have half the resolution, as mostly.
    rows, columns = differing.shape
    top = int(np.argmax(differing.any(axis=1)))
    together = min(2 if frame in BASELINE else 16, rows - top)
    left = int(np.argmax(differing[top : top + together].any(axis=0)))
    return data + END, 1 - (top + together * left / columns) / rows


def _decode(data: bytes, least: tuple[int, int]) -> npt.NDArray[np.uint8]:
    from PIL.JpegImagePlugin import JpegImageFile

    with JpegImageFile(io.BytesIO(data), "") as image:
        image.draft(None, least)
        image.load()
        levels = np.asarray(image, np.uint8)
    return levels if levels.ndim == 3 else levels[..., None]


def _refines_fully(scans: list[Scan]) -> bool:
    """Whether the scans that have begun contain all coefficients of all components to the bit."""
    complete: dict[int, set[int]] = {name: set() for scan in scans for name in scan.components}
    for scan in scans:
        if scan.bits == 0:
            for name in scan.components:
                complete[name].update(range(scan.first, scan.last + 1))
    return bool(complete) and all(len(done) == 64 for done in complete.values())
