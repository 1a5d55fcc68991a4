"""Photographs with known answers: those of scikit-image, cut into views of one another.

Every photograph becomes a dozen views: overlapping crops, turned, recoloured, shrunk and
recompressed. Views of one photograph are each other's right answers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import skimage
from PIL import Image, ImageEnhance, ImageOps

# Those that come inside the wheel: nothing is downloaded.
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)
LONGER_SIDE = 640


def write_demo_gallery(folder: Path) -> Path:
    """Write all views and `labels.csv` (path, photograph, view) into `folder`; returns the CSV."""
    manifest = folder / "labels.csv"
    if manifest.exists():
        return manifest
    rows = []
    for name in PHOTOGRAPHS:
        photograph = Path(name).stem
        (folder / photograph).mkdir(parents=True, exist_ok=True)
        for view, encoded in views(load(name)):
            path = f"{photograph}/{view}.jpg"
            (folder / path).write_bytes(encoded)
            rows.append((path, photograph, view))
    # Written last: a demo that was interrupted starts over.
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "photograph", "view"), *rows])
    return manifest


def load(name: str) -> Image.Image:
    """One of scikit-image's photographs: RGB, longer side at most 640 px."""
    image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
    image.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    return image


def views(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """A dozen views of a photograph: name and JPEG."""
    for name, (left, top) in {
        "top-left": (0.0, 0.0),
        "top-right": (0.3, 0.0),
        "bottom-left": (0.0, 0.3),
        "bottom-right": (0.3, 0.3),
    }.items():
        yield name, jpeg(crop(image, left, top, 0.7))
    yield "whole", jpeg(image)
    yield "centre", jpeg(crop(image, 0.25, 0.25, 0.5))
    yield "turned-left", jpeg(turn(image, 15))
    yield "turned-right", jpeg(turn(image, -15))
    yield "mirrored", jpeg(ImageOps.mirror(image))
    yield "grey", jpeg(ImageOps.grayscale(image).convert("RGB"))
    yield "dark", jpeg(ImageEnhance.Brightness(ImageEnhance.Color(image).enhance(1.6)).enhance(0.5))
    small = image.resize((max(1, image.width // 4), max(1, image.height // 4)))
    yield "small", jpeg(small, quality=20)


def crop(image: Image.Image, left: float, top: float, side: float) -> Image.Image:
    """A part of an image; position and side are fractions of its width and height."""
    w, h = image.size
    return image.crop(
        (round(left * w), round(top * h), round((left + side) * w), round((top + side) * h))
    )


def turn(image: Image.Image, degrees: float) -> Image.Image:
    """Turned, and cropped to where no corner is empty."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    return crop(turned, 0.16, 0.16, 0.68)


def jpeg(image: Image.Image, *, quality: int = 85) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()
