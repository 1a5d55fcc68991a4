"""The ground that a transparent image is laid over: the one on which its drawing can be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["WHITE", "choose_ground", "over_ground"]

WHITE, BLACK, GREY = 255, 0, 128

SIDE = 256
"""Longer side to which an image is reduced before its edges are compared."""
VISIBLE = 48
"""Least step between neighbouring pixels, in levels of 255, of an edge that can be seen."""
HIDDEN = 16
"""A step below this cannot be seen."""
TOLERANCE = 0.02
"""Share of the edges that may be hidden before another ground is chosen."""


def choose_ground(image: Image.Image) -> int:
    """The level of grey, of 255, over which an image of mode LA or RGBA shows its edges.

    White unless more than 2 % of the edges that can be seen on white, black or mid grey are hidden
    on white: a white drawing is laid over black, one in white and black over grey. Of grounds that
    hide equally much, white comes before black, and black before grey.
    """
    alpha = image.getchannel("A")
    low, high = alpha.getextrema()
    if low == 255 or high == 0:  # nothing of the ground is seen, or nothing else
        return WHITE
    if max(image.size) > SIDE:
        scale = SIDE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BOX)
    levels = np.asarray(image, np.float32)
    opacity = levels[..., -1:] / 255
    colours = levels[..., :-1] * opacity
    grounds = (WHITE, BLACK, GREY)
    steps = {g: _steps(colours + np.float32(g) * (1 - opacity)) for g in grounds}
    edges = np.max(np.stack(list(steps.values())), axis=0) >= VISIBLE
    count = int(np.count_nonzero(edges))
    if count == 0:
        return WHITE
    hidden = {g: np.count_nonzero(edges & (s < HIDDEN)) / count for g, s in steps.items()}
    if hidden[WHITE] <= TOLERANCE:
        return WHITE
    return min(hidden, key=lambda ground: hidden[ground])


def over_ground(image: Image.Image, ground: int) -> Image.Image:
    """An image of mode LA or RGBA, laid over a level of grey: L or RGB."""
    mode = image.mode[:-1]
    flat = Image.new(mode, image.size, ground if mode == "L" else (ground,) * 3)
    flat.paste(image.convert(mode), mask=image.getchannel("A"))
    return flat


def _steps(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The largest step to the right or downwards of any channel: (H, W, C) → (H, W)."""
    right = np.abs(np.diff(pixels, axis=1, append=pixels[:, -1:]))
    down = np.abs(np.diff(pixels, axis=0, append=pixels[-1:]))
    largest: npt.NDArray[np.float32] = np.maximum(right, down).max(axis=2)
    return largest
