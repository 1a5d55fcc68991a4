"""Of an animation, the first frame that shows something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir.config import max_pixels
from cbir.images.colour import resamplable
from cbir.types import Remark

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FLAT", "first_to_show", "spread_of"]

FLAT = 4
"""Greatest difference of levels, of 255, within an image of one flat colour."""
SHOWS = 16
"""Least difference of levels within a frame that shows something: an opening frame that fades in
from black does not."""
FRAMES = 100
"""Most frames that are looked at; together they have no more pixels than one image may have."""


def spread_of(image: Image.Image) -> int:
    """The largest difference of levels in any channel of what is visible, 0 to 255.

    `image` is of a mode that can be resampled. Where it is transparent its colours do not count.
    """
    if image.mode in ("LA", "RGBA"):
        image = image.convert("La" if image.mode == "LA" else "RGBa")
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return max(int(high) - int(low) for low, high in pairs)


def first_to_show(
    animation: Image.Image, first: Image.Image
) -> tuple[Image.Image, tuple[Remark, ...]]:
    """The first frame with visible content, and a remark if it is not the very first.

    `first` is the first frame in a mode that can be resampled. Where no frame shows anything, the
    one with the greatest spread of levels is returned.
    """
    number, spread = 0, spread_of(first)
    if spread >= SHOWS:
        return first, ()
    best = first.copy()  # the next frame may be drawn into the same image
    most = min(FRAMES, max_pixels() // (first.width * first.height))
    for frame in range(1, most):
        try:
            animation.seek(frame)
            if animation.size != first.size:  # a page of a TIFF, which may be another picture
                break
            animation.load()
        except Exception:  # the end, or damage: what precedes it can be shown
            break
        shown = resamplable(animation)
        if (its := spread_of(shown)) > spread:
            best, number, spread = shown.copy(), frame, its
        if spread >= SHOWS:
            break
    if number == 0:
        return best, ()
    return best, (Remark("frame", f"shown by frame {number + 1}: those before it are blank"),)
