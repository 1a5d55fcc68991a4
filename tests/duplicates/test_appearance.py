"""Drawn things that differ in colour or pattern only are no copies; parts of one drawing are."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from duplicates.copies import photograph
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from cbir import Gallery, index_images, resolve_spec
from cbir.duplicates import find_duplicates
from cbir.duplicates.alignment import Alignable, align, is_copy
from cbir.duplicates.verifier import alignable

TEAL, RED = (40, 138, 140), (196, 52, 48)
Colour = tuple[int, int, int]
Alteration = Callable[[Image.Image], Image.Image]


def shirt(colour: Colour, *, dots: int = 0, seed: int = 1) -> Image.Image:
    """A drawn shirt and small boxes, before a backdrop with grain; `dots`: so wide, on it."""
    rng = np.random.default_rng(seed)
    grain = Image.fromarray(rng.integers(0, 24, (50, 50), np.uint8)).resize((400, 400))
    image = ImageOps.colorize(grain, (216, 214, 210), (255, 250, 240))
    draw = ImageDraw.Draw(image)
    draw.polygon([(130, 80), (270, 80), (345, 160), (300, 200), (275, 170), (275, 330),
                  (125, 330), (125, 170), (100, 200), (55, 160)], colour)  # fmt: skip
    for _ in range(60):
        x, y = (int(place) for place in rng.integers((70, 20), (320, 380)))
        grey = int(rng.integers(20, 90))
        draw.rectangle((x, y, x + 7, y + 5), (grey, grey, grey))
    if dots:
        for x in range(140, 265, 28):
            for y in range(100, 325, 28):
                draw.ellipse((x, y, x + dots, y + dots), (246, 240, 226))
    return image


def descriptors(image: Image.Image) -> Alignable:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=90)
    return alignable(encoded.getvalue())


def crop(image: Image.Image) -> Image.Image:
    return image.crop((24, 30, 380, 372))


def turned(image: Image.Image) -> Image.Image:
    return image.rotate(4, Image.Resampling.BICUBIC, expand=True, fillcolor=(236, 232, 225))


@pytest.mark.parametrize("alter", [crop, turned])
def test_colour_and_pattern_tell_drawn_things_apart(alter: Alteration) -> None:
    original = descriptors(shirt(TEAL))
    assert is_copy(align(original, descriptors(alter(shirt(TEAL)))))
    for other in (shirt(RED), shirt(TEAL, dots=5)):
        found = align(original, descriptors(alter(other)))
        # By all else that is looked at they would be copies.
        assert is_copy(replace(found, recoloured=0.0, repatterned=0.0))
        assert not is_copy(found)


@pytest.mark.parametrize(
    "edit",
    [
        ImageOps.grayscale,
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Contrast(image).enhance(0.85),
        lambda image: image.point([round(v * 0.8) for v in range(256)] + 2 * list(range(256))),
    ],
    ids=["grey", "darker", "flat", "cast"],
)
def test_other_light_is_no_other_colour(edit: Alteration) -> None:
    image = photograph("coffee")
    found = align(
        descriptors(image), descriptors(edit(image.crop((40, 30, 340, 255))).convert("RGB"))
    )
    assert found.recoloured <= 0.01
    assert is_copy(found)


def test_verified_groups_do_not_mix_products(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    drawn = {
        "teal": shirt(TEAL),
        "teal-crop": crop(shirt(TEAL)),
        "teal-turned": turned(shirt(TEAL)),
        "red": shirt(RED),
        "teal-dotted": shirt(TEAL, dots=12),
    }
    for name, image in drawn.items():
        image.save(folder / f"{name}.png")
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "gallery", spec) as gallery:
        index_images(folder, gallery)
        (group,) = find_duplicates(gallery, verify=True).groups
    assert {Path(image.uri).stem for image in group.images} == {"teal", "teal-crop", "teal-turned"}
