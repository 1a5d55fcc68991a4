"""Tiny images: one hash in eight orientations, and how far two images agree."""

import numpy as np
import pytest
from factories import picture, plain
from PIL import Image

from cbir.similarity.correlation import local_correlation
from cbir.similarity.perceptual_hash import nearest_orientation, perceptual_hashes
from cbir.similarity.tiny import ORIENTATIONS, TINY_BYTES, compare_tiny, tiny_image

SEEN = {
    0: lambda image: image,
    1: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    2: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    5: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
}


def small(image: Image.Image) -> np.ndarray:
    return tiny_image(np.asarray(image, np.uint8))


@pytest.mark.parametrize("form", range(ORIENTATIONS))
def test_a_picture_is_known_in_every_form(form: int) -> None:
    image = picture(96, 96, seed=3)
    first, second = small(image), small(SEEN[form](image))
    hashes = perceptual_hashes(np.stack([first, second]))
    found, bits = nearest_orientation(hashes.bits[:, [0]], hashes.bits[0][[1]])
    assert (found[0], bits[0]) == (form, 0)
    assert (hashes.codes[form, 0], hashes.codes[0, 1]) == (hashes.codes[0, 1],) * 2
    agreed = compare_tiny(first, second, form)
    assert agreed.mean > 0.99
    assert agreed.colour < 2


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (31, 33), (640, 480)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    assert small(picture(*size)).shape == (TINY_BYTES,)


def test_other_pictures_differ() -> None:
    first, second = small(picture(seed=1)), small(picture(seed=2))
    hashes = perceptual_hashes(np.stack([first, second]))
    form, bits = nearest_orientation(hashes.bits[:, [0]], hashes.bits[0][[1]])
    assert bits[0] > 20  # of the few frequencies that a smooth picture has
    assert compare_tiny(first, second, int(form[0])).mean < 0.7


def test_the_same_thing_in_another_colour_is_told() -> None:
    red, blue = plain("white", 64, 64), plain("white", 64, 64)
    red.paste(plain((220, 30, 30), 32, 40), (16, 12))
    blue.paste(plain((30, 60, 220), 32, 40), (16, 12))
    dim = red.point(lambda value: value * 0.75)
    assert compare_tiny(small(red), small(blue), 0).colour > 30
    assert compare_tiny(small(red), small(dim), 0).colour < 4


@pytest.mark.parametrize("other", [(220, 30, 60), (30, 30, 220), (255, 255, 255), (0, 0, 0)])
def test_plain_surfaces_are_told_by_their_colour(other: tuple[int, int, int]) -> None:
    red = small(plain((220, 30, 30)))
    assert compare_tiny(red, red, 0).colour == 0
    assert compare_tiny(red, small(plain(other)), 0).colour > 14


def test_what_lies_over_a_part_leaves_the_median() -> None:
    one = np.asarray(picture(64, 64, seed=5).convert("L"), np.float32)
    other = one.copy()
    other[20:30] = 255 - other[20:30]
    everywhere = np.ones(one.shape, bool)
    mean, median = local_correlation(one, other, everywhere, window=5).agreement()
    assert median > 0.99
    assert mean < 0.9
    assert local_correlation(one, other, ~everywhere, window=5).agreement() == (0.0, 0.0)


def test_no_pictures_have_no_hashes() -> None:
    assert len(perceptual_hashes(np.empty((0, TINY_BYTES), np.uint8))) == 0
