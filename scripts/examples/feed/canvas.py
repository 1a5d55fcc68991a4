"""Drawing a product: shaded, patterned parts on a studio background, in coordinates of its own.

The product's plane is x to the right and y downwards, both about from -1 to 1; a `View` says where
that lies on the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from scripts.examples.feed.outlines import Points

SIDE = 400
FINER = 2
"""Factor by which pictures are drawn larger and then shrunk, which smooths the edges."""

Colour = tuple[int, int, int]
Field = npt.NDArray[np.floating[Any]]
Pattern = Callable[[Field, Field], Field]
"""Coordinates (H, W) each → how much of the second colour shows there, in [0, 1]."""

BACKGROUNDS: tuple[tuple[Colour, Colour], ...] = (
    ((250, 250, 250), (232, 233, 236)),
    ((244, 240, 233), (224, 215, 202)),
    ((232, 238, 243), (207, 217, 226)),
    ((240, 236, 240), (221, 213, 222)),
    ((236, 241, 234), (213, 222, 209)),
)
"""Wall and floor."""

PATTERNS: dict[str, Pattern] = {
    "plain": lambda x, y: np.zeros_like(x),
    "striped": lambda x, y: (np.sin(22 * y) > 0.1).astype(np.float32),
    "dotted": lambda x, y: (
        (((x * 5.5) % 1 - 0.5) ** 2 + ((y * 5.5) % 1 - 0.5) ** 2) < 0.065
    ).astype(np.float32),
    "checked": lambda x, y: np.asarray(
        0.5 * (np.sin(17 * x) > 0) + 0.5 * (np.sin(17 * y) > 0), dtype=np.float32
    ),
    "waved": lambda x, y: (np.sin(20 * y + 2.2 * np.sin(9 * x)) > 0.35).astype(np.float32),
}


@dataclass(frozen=True, slots=True)
class View:
    """How a product lies on its picture."""

    scale: float = 0.8
    """Length in the product's plane of half the picture's side."""
    degrees: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    background: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What a product is made of."""

    colour: Colour
    second: Colour
    """Of the pattern."""
    accent: Colour
    """Of soles, rims and straps."""
    pattern: str = "plain"


class Canvas:
    """A picture that products are drawn on, part by part from the back to the front."""

    def __init__(self, view: View, look: Look) -> None:
        self.look = look
        self._view = view
        self._size = SIDE * FINER
        self._parts = Image.new("RGB", (self._size, self._size))
        self._covered = Image.new("L", (self._size, self._size))

    def part(
        self, points: Points, paint: Colour | None = None, *, shade: str = "flat", hole: Points = ()
    ) -> None:
        """A filled outline; in the product's colour and pattern if no `paint` is given."""
        outline = self._on_picture(points)
        corner, draw, mask = self._mask(outline, 0)
        draw.polygon(_moved(outline, corner), fill=255)
        if hole:
            draw.polygon(_moved(self._on_picture(hole), corner), fill=0)
        self._fill(mask, corner, paint, shade)

    def line(self, points: Points, width: float, paint: Colour | None = None) -> None:
        """A thick line with round ends and joints."""
        pixels = max(1, round(width * self._unit))
        outline = self._on_picture(points)
        corner, draw, mask = self._mask(outline, pixels)
        ends, r = _moved(outline, corner), pixels / 2
        draw.line(ends, fill=255, width=pixels, joint="curve")
        for x, y in ends:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
        self._fill(mask, corner, paint, "flat")

    def finish(self) -> Image.Image:
        """The picture: the product on its background, with a soft shadow below."""
        picture = _studio(self._size, *BACKGROUNDS[self._view.background])
        small = self._covered.resize((SIDE // 4, SIDE // 4))
        soft = small.filter(ImageFilter.GaussianBlur(SIDE / 80)).resize(picture.size)
        soft = ImageChops.offset(soft, round(0.02 * self._size), round(0.03 * self._size))
        shadow = soft.point(lambda value: round(0.28 * value))
        picture.paste((40, 40, 52), mask=shadow)
        picture.paste(self._parts, mask=self._covered)
        return picture.resize((SIDE, SIDE), Image.Resampling.BOX)

    @property
    def _unit(self) -> float:
        return self._view.scale * self._size / 2

    def _on_picture(self, points: Points) -> list[tuple[float, float]]:
        turn, mirror = math.radians(self._view.degrees), -1 if self._view.mirrored else 1
        cos, sin = math.cos(turn), math.sin(turn)
        left, top = (self._size / 2 * (1 + shift) for shift in self._view.shift)
        return [
            (
                left + self._unit * (cos * mirror * x - sin * y),
                top + self._unit * (sin * mirror * x + cos * y),
            )
            for x, y in points
        ]

    def _mask(
        self, outline: Points, margin: int
    ) -> tuple[tuple[int, int], ImageDraw.ImageDraw, Image.Image]:
        """Where a part begins on the picture, and an empty mask large enough for it."""
        low = [max(0, math.floor(min(p[i] for p in outline)) - margin) for i in (0, 1)]
        high = [min(self._size, math.ceil(max(p[i] for p in outline)) + margin + 1) for i in (0, 1)]
        mask = Image.new("L", (max(1, high[0] - low[0]), max(1, high[1] - low[1])))
        return (low[0], low[1]), ImageDraw.Draw(mask), mask

    def _fill(
        self, mask: Image.Image, corner: tuple[int, int], paint: Colour | None, shade: str
    ) -> None:
        x, y = self._in_plane((*corner, corner[0] + mask.width, corner[1] + mask.height))
        if paint is None:
            share = PATTERNS[self.look.pattern](x, y)[..., None]
            colours = (1 - share) * rgb(self.look.colour) + share * rgb(self.look.second)
        else:
            colours = np.broadcast_to(rgb(paint), (*x.shape, 3))
        light, shine = SHADES[shade](_across(x), _across(y))
        pixels = np.clip(colours * light[..., None] + 255 * shine[..., None], 0, 255)
        filled = Image.fromarray(pixels.astype(np.uint8))
        self._parts.paste(filled, corner, mask)
        self._covered.paste(255, (*corner, corner[0] + mask.width, corner[1] + mask.height), mask)

    def _in_plane(self, box: tuple[int, int, int, int]) -> tuple[Field, Field]:
        """The product's coordinates of every pixel of a box of the picture."""
        left, top = (self._size / 2 * (1 + shift) for shift in self._view.shift)
        turn, mirror = math.radians(self._view.degrees), -1 if self._view.mirrored else 1
        across = (np.arange(box[0], box[2], dtype=np.float32) - np.float32(left))[None]
        down = (np.arange(box[1], box[3], dtype=np.float32) - np.float32(top))[:, None]
        cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
        unit = np.float32(self._unit)
        return mirror * (cos * across + sin * down) / unit, (cos * down - sin * across) / unit


def _moved(points: Points, corner: tuple[int, int]) -> list[tuple[float, float]]:
    return [(x - corner[0], y - corner[1]) for x, y in points]


def rgb(colour: Colour) -> Field:
    """(3,) float32"""
    return np.array(colour, np.float32)


def _across(values: Field) -> Field:
    """Coordinates as they run over a part: from -1 to 1."""
    low, high = float(values.min()), float(values.max())
    return np.asarray(2 * (values - low) / max(1e-6, high - low) - 1, dtype=np.float32)


def _round(x: Field, y: Field) -> tuple[Field, Field]:
    light = 0.68 + 0.38 * np.sqrt(np.maximum(0, 1 - ((x + 0.25) / 1.28) ** 2))
    return light, 0.16 * np.exp(-(((x + 0.5) / 0.13) ** 2))


def _ball(x: Field, y: Field) -> tuple[Field, Field]:
    far = (x + 0.3) ** 2 + (y + 0.35) ** 2
    return 1.08 - 0.2 * far, 0.28 * np.exp(-far / 0.06)


def _cloth(x: Field, y: Field) -> tuple[Field, Field]:
    folds = 0.035 * np.sin(7 * x + 1.5 * y) + 0.02 * np.sin(17 * x - 3 * y)
    return 1.0 - 0.07 * x * x - 0.05 * y + folds, np.zeros_like(x)


def _flat(x: Field, y: Field) -> tuple[Field, Field]:
    return 1.02 - 0.05 * x - 0.08 * y, np.zeros_like(x)


def _lit(x: Field, y: Field) -> tuple[Field, Field]:
    return 0.95 + 0.1 * y, 0.22 * np.exp(-(x**2) / 0.35 - (y - 0.35) ** 2 / 0.5)


SHADES: dict[str, Callable[[Field, Field], tuple[Field, Field]]] = {
    "round": _round,
    "ball": _ball,
    "cloth": _cloth,
    "flat": _flat,
    "lit": _lit,
}
"""Coordinates within a part (H, W) each → light to multiply by, and shine to add."""


def _studio(size: int, wall: Colour, floor: Colour) -> Image.Image:
    down = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    blend = 1 / (1 + np.exp(-(down - 0.74) / 0.05))
    rows = (1 - blend) * rgb(wall) + blend * rgb(floor) - 6 * down
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).astype(np.uint8))
