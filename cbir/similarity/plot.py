"""Draws two images side by side, with their matches joined by thin lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cbir.errors import CbirError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

__all__ = ["draw_matches", "save_plot"]

BOX = 560
"""Side in pixels of the square that each image is fitted into."""
MARGIN, GAP = 24, 48
TEXT_SIZE, TEXT_LINE = 13, 32
LINES_SHOWN = 80
"""Most lines drawn, taken evenly from all: more would hide the images."""

GROUND, TEXT, QUIET, ACCENT = "#ffffff", "#18181b", "#5f5f68", "#1d5fd1"
FINE = 4
"""Factor by which lines are drawn larger and then reduced, as Pillow does not smooth them."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def draw_matches(
    a: Image.Image,
    b: Image.Image,
    matches: npt.NDArray[np.float32],
    *,
    names: tuple[str, str] = ("", ""),
    caption: str = "",
) -> Image.Image:
    """Draw both images on white, with a line for each match and their names below.

    `matches` (M, 4) are x and y in `a`, then x and y in `b`, as shares of width and height, as
    in `Comparison.matches`. Of more than 80, 80 are drawn.
    """
    from PIL import Image, ImageDraw

    left, right = _fitted(a), _fitted(b)
    height = max(left.height, right.height)
    width = 2 * MARGIN + left.width + GAP + right.width
    at_left = MARGIN, MARGIN + (height - left.height) // 2
    at_right = width - MARGIN - right.width, MARGIN + (height - right.height) // 2
    plot = Image.new("RGB", (width, MARGIN + height + 2 * TEXT_LINE + MARGIN // 2), GROUND)
    plot.paste(left, at_left)
    plot.paste(right, at_right)
    shown = matches[np.linspace(0, len(matches) - 1, min(len(matches), LINES_SHOWN)).astype(int)]
    starts = shown[:, :2] * left.size + at_left
    ends = shown[:, 2:] * right.size + at_right
    _draw_lines(plot, starts, ends)
    pen = ImageDraw.Draw(plot)
    below = MARGIN + height + TEXT_LINE // 2
    _write(pen, names[0], at_left[0], below, left.width, QUIET)
    _write(pen, names[1], at_right[0], below, right.width, QUIET)
    _write(pen, caption, MARGIN, below + TEXT_LINE, width - 2 * MARGIN, TEXT)
    return plot


def save_plot(path: str | Path, plot: Image.Image) -> None:
    """Write a plot as PNG or JPEG, by its suffix. Raises CbirError where that cannot be done."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise CbirError(f"{path} is neither PNG nor JPEG; let its name end in .png or .jpg")
    try:
        plot.save(path, FORMATS[path.suffix.lower()], quality=92)
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror or error}") from error


def _fitted(image: Image.Image) -> Image.Image:
    from PIL import Image

    scale = BOX / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _draw_lines(
    plot: Image.Image, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]
) -> None:
    """Thin lines that let the images shine through, with a small disc at both ends."""
    from PIL import Image, ImageDraw

    large = plot.width * FINE, plot.height * FINE
    halo, lines = Image.new("L", large), Image.new("L", large)
    around, inside = ImageDraw.Draw(halo), ImageDraw.Draw(lines)
    for start, end in zip(starts * FINE, ends * FINE, strict=True):
        around.line([tuple(start), tuple(end)], 90, 3 * FINE)
        inside.line([tuple(start), tuple(end)], 170, FINE)
    for place in np.concatenate([starts, ends]) * FINE:
        around.circle(tuple(place), 3.5 * FINE, 230)
        inside.circle(tuple(place), 2.5 * FINE, 255)
    for colour, mask in ((GROUND, halo), (ACCENT, lines)):
        plot.paste(colour, (0, 0), mask.reduce(FINE))


def _write(pen: ImageDraw.ImageDraw, text: str, x: int, y: int, width: int, colour: str) -> None:
    """Write a line of text; of a long one the beginning is cut off, as names differ at the end."""
    from PIL import ImageFont

    font = ImageFont.load_default(TEXT_SIZE)
    while (length := pen.textlength(text, font)) > width:
        fitting = int(len(text) * width / length) - 2
        text = "…" + text[-fitting:] if fitting > 0 else ""
    pen.text((x, y), text, colour, font, anchor="lm")
