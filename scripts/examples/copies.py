"""Near-duplicates with known answers: every photograph of a folder, altered in fifteen ways.

The same folder always gives the same files. Places and strengths that vary are drawn from the
photograph's name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from cbir.images import IMAGE_SUFFIXES

QUALITY = 90
"""JPEG quality of the copies, except of those whose compression is altered."""

Random = np.random.Generator
Alteration = Callable[[Image.Image, Random], Image.Image]


def resized(image: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def cropped(image: Image.Image, area: float, rng: Random) -> Image.Image:
    """A part anywhere in the image, of its aspect ratio and of that share of its area."""
    width, height = (max(1, round(side * area**0.5)) for side in image.size)
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))


def noisy(image: Image.Image, rng: Random) -> Image.Image:
    """Gaussian noise of standard deviation 20 (of 255), each channel its own."""
    pixels = np.asarray(image, np.float32)
    pixels = pixels + 20 * rng.standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def overlaid(image: Image.Image, rng: Random) -> Image.Image:
    """Two lines of text, an eighth of the height each, anywhere in the image."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    size = max(8, image.height // 8)
    font = ImageFont.load_default(size)
    for text in ("SPECIAL OFFER", "www.example.com"):
        x = int(rng.integers(0, max(1, image.width // 4)))
        y = int(rng.integers(0, max(1, image.height - size)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        draw.text((x, y), text, fill=colour, font=font)
    return image


def recoloured(image: Image.Image, rng: Random) -> Image.Image:
    """Each channel times 0.7 to 1.3: a colour cast, and other brightness."""
    gains = rng.uniform(0.7, 1.3, 3)
    pixels = np.asarray(image, np.float32) * gains.astype(np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def letterboxed(image: Image.Image) -> Image.Image:
    """Black bars above and below, a sixth of the height each."""
    return ImageOps.expand(image, (0, image.height // 6), "black")


ALTERATIONS: dict[str, Alteration] = {
    "jpeg 30": lambda image, _: image,
    "resize 0.25": lambda image, _: resized(image, 0.25),
    "resize 0.5": lambda image, _: resized(image, 0.5),
    "resize 2": lambda image, _: resized(image, 2),
    "crop 80 % of area": lambda image, rng: cropped(image, 0.8, rng),
    "crop 80 % of side": lambda image, rng: cropped(image, 0.64, rng),
    "crop 50 % of area": lambda image, rng: cropped(image, 0.5, rng),
    "crop 50 % of side": lambda image, rng: cropped(image, 0.25, rng),
    "rotation 5°": lambda image, _: image.rotate(5, Image.Resampling.BICUBIC, expand=True),
    "rotation 90°": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "flip": lambda image, _: ImageOps.mirror(image),
    "blur": lambda image, _: image.filter(ImageFilter.GaussianBlur(max(image.size) / 200)),
    "noise": noisy,
    "overlay text": overlaid,
    "colour shift": recoloured,
    "letterbox": lambda image, _: letterboxed(image),
}


def write_copies(photographs: Path, folder: Path) -> dict[str, list[tuple[str, Path]]]:
    """Write each photograph and its copies; by photograph, (alteration, file), the original first.

    The original is written as it is.
    """
    groups: dict[str, list[tuple[str, Path]]] = {}
    for source in sorted(p for p in photographs.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
        name = str(source.relative_to(photographs))
        own = folder / name.replace("/", "_")
        own.mkdir(parents=True, exist_ok=True)
        original = own / f"original{source.suffix}"
        original.write_bytes(source.read_bytes())
        groups[name] = [("original", original)]
        with Image.open(source) as opened:
            image = opened.convert("RGB")
        for alteration, alter in ALTERATIONS.items():
            rng = np.random.default_rng(zlib.crc32(f"{name} {alteration}".encode()))
            file = own / f"{alteration.replace(' ', '-').replace('%', 'percent')}.jpg"
            quality = 30 if alteration == "jpeg 30" else QUALITY
            alter(image, rng).save(file, quality=quality)
            groups[name].append((alteration, file))
    return groups
