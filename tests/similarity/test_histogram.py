"""Colour histograms: which bin a colour falls into, and how two histograms compare."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from similarity.photographs import photograph

from cbir.similarity import chi_square, hsv_histogram, intersection, rgb_histogram

images = st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)).flatmap(
    lambda shape: arrays(np.uint8, shape)
)


def pixel(*colour: int) -> np.ndarray:
    return np.full((2, 3, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("colour", "index"),
    [((0, 0, 0), 0), ((31, 31, 32), 1), ((255, 0, 0), 448), ((255, 255, 255), 511)],
)
def test_rgb_bins(colour: tuple[int, int, int], index: int) -> None:
    histogram = rgb_histogram(pixel(*colour))
    assert histogram.shape == (512,)
    assert histogram[index] == 1.0


@pytest.mark.parametrize(
    ("colour", "index"),
    [
        ((0, 0, 0), 0),
        ((255, 255, 255), 3),
        ((255, 0, 0), 15),
        ((255, 0, 10), 15),  # a red on the other side of hue 0
        ((255, 10, 0), 15),
        ((0, 255, 255), 16 * 8 + 15),
    ],
)
def test_hsv_bins(colour: tuple[int, int, int], index: int) -> None:
    histogram = hsv_histogram(pixel(*colour))
    assert histogram.shape == (256,)
    assert histogram[index] == 1.0


def test_rgb_histogram_is_that_of_numpy() -> None:
    image = photograph("coffee")
    counts, _ = np.histogramdd(image.reshape(-1, 3), bins=(8, 8, 8), range=[(0, 256)] * 3)
    assert np.allclose(rgb_histogram(image), counts.ravel() / counts.sum())


def test_measures_by_hand() -> None:
    p, q = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.25, 0.0, 0.75, 0.0])
    assert intersection(p, q) == 0.25
    assert chi_square(p, q) == pytest.approx(0.5 * (0.0625 / 0.75 + 0.5 + 0.75))
    half_red = np.concatenate([pixel(255, 0, 0), pixel(0, 0, 255)])
    assert intersection(rgb_histogram(half_red), rgb_histogram(pixel(255, 0, 0))) == 0.5


@pytest.mark.parametrize("histogram", [rgb_histogram, hsv_histogram])
def test_nothing_in_common(histogram: object) -> None:
    p, q = histogram(pixel(0, 0, 0)), histogram(pixel(0, 255, 0))  # type: ignore[operator]
    assert intersection(p, q) == 0.0
    assert chi_square(p, q) == 1.0


@settings(max_examples=40, deadline=None)
@given(images, images)
def test_symmetric_and_in_range_whatever_the_sizes(a: np.ndarray, b: np.ndarray) -> None:
    for histogram in (rgb_histogram, hsv_histogram):
        p, q = histogram(a), histogram(b)
        assert p.sum() == pytest.approx(1.0)
        for measure, best in ((intersection, 1.0), (chi_square, 0.0)):
            assert measure(p, q) == measure(q, p)
            assert -1e-9 <= measure(p, q) <= 1 + 1e-9
            assert measure(p, p) == pytest.approx(best)


def test_a_grey_image_counts_as_three_equal_channels() -> None:
    grey = photograph("camera")
    assert np.array_equal(rgb_histogram(grey), rgb_histogram(np.dstack([grey] * 3)))


def test_different_bins_are_refused() -> None:
    image = pixel(1, 2, 3)
    for measure in (intersection, chi_square):
        with pytest.raises(ValueError, match="make both by the same function"):
            measure(rgb_histogram(image), hsv_histogram(image))
