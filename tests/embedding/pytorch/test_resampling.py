"""Resampling as matrix products: Pillow's pixels to one grey level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from cbir.config import Interpolation
from cbir.embedding.pytorch.resampling import resample_boxes, vertical_first

PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def reference(
    image: Image.Image, box: tuple[float, float, float, float], side: int, kernel: Interpolation
) -> np.ndarray:
    """Pillow's pixels; the pass that comes first depends on its version, so it is made so here."""
    if vertical_first(*image.size, side):
        left, upper, right, lower = box
        image = image.resize((image.width, side), PILLOW[kernel], (0, upper, image.width, lower))
        return np.asarray(image.resize((side, side), PILLOW[kernel], (left, 0, right, side)))
    return np.asarray(image.resize((side, side), PILLOW[kernel], box))


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("noise", [True, False])
def test_pixels_are_those_of_pillow(kernel: Interpolation, noise: bool) -> None:
    """Enlarged and shrunk, any box, any shape, in batches padded to the largest image."""
    rng = np.random.default_rng(0)
    side = 48
    images, sizes, boxes = [], [], []
    for number in range(40):
        width, height = (int(n) for n in rng.integers(8, 260, 2))
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        if not noise:
            image = image.resize((9, 7)).resize((width, height), Image.Resampling.BICUBIC)
        length = min(width, height) * rng.uniform(0.4, 1)
        left, upper = rng.uniform(0, width - length), rng.uniform(0, height - length)
        images.append(image)
        sizes.append((width, height))
        whole = (0.0, 0.0, float(width), float(height))
        boxes.append(whole if number % 4 == 0 else (left, upper, left + length, upper + length))
    padded = torch.full((40, 3, 260, 260), 200, dtype=torch.uint8)
    for place, image in zip(padded, images, strict=True):
        place[:, : image.height, : image.width] = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    tall = [vertical_first(*size, side) for size in sizes]
    assert 5 < sum(tall) < 35
    made = resample_boxes(padded, sizes, boxes, side, kernel, vertical=tall).numpy()
    for one, image, box in zip(made, images, boxes, strict=True):
        difference = one.astype(int) - reference(image, box, side, kernel).astype(int)
        assert np.abs(difference).max() <= 1


def test_this_pillow_takes_the_passes_in_that_order() -> None:
    """Where Pillow's order differs, sharp edges differ by some levels, and nothing else does."""
    rng = np.random.default_rng(1)
    for size in ((300, 380), (300, 370), (380, 300)):
        image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
        box = (0.0, 0.0, float(size[0]), float(size[1]))
        whole = np.asarray(image.resize((224, 224), PILLOW["bicubic"], box)).astype(int)
        difference = np.abs(whole - reference(image, box, 224, "bicubic"))
        assert difference.mean() < 0.5
