"""Photographs of scikit-image's and altered versions of them, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from skimage import data

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).resize((384, 288))


def overlaid(image: Image.Image) -> Image.Image:
    image = image.copy()
    font = ImageFont.load_default(32)
    ImageDraw.Draw(image).text((30, 40), "SPECIAL OFFER", fill=(250, 240, 60), font=font)
    return image


def recoloured(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    return Image.merge("RGB", (red.point(lambda v: v * 0.8), green, blue.point(lambda v: v * 0.75)))


WHOLE = {
    "half": lambda image: image.resize((192, 144)),
    "squeezed": lambda image: image.resize((300, 288)),
    "double": lambda image: image.resize((768, 576)),
    "mirrored": ImageOps.mirror,
    "upside-down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned-back": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "transposed": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "recoloured": recoloured,
    "overlaid": overlaid,
}
"""The same whole picture."""

PARTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "cropped": lambda image: image.crop((60, 40, 340, 250)),
    "framed": lambda image: ImageOps.expand(image, (0, 60), "black"),
    "tilted": lambda image: image.rotate(5, Image.Resampling.BICUBIC, expand=True),
}
"""What only lies on the other once they are aligned."""


def write_photographs(folder: Path) -> None:
    """`astronaut.png` and three others."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        photograph(name).save(folder / f"{name}.png")
