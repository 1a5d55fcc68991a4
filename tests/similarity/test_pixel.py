"""MSE and SSIM, against scikit-image and by hand."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from similarity.photographs import noisy, photograph, thumbnail
from skimage.metrics import structural_similarity

from cbir.similarity import mse, ssim, to_common_size

AS_SCIKIT_IMAGE: dict[str, dict[str, Any]] = {
    "uniform": {"win_size": 7},
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}

Window = Literal["gaussian", "uniform"]

pairs = st.tuples(st.integers(1, 24), st.integers(1, 24)).flatmap(
    lambda shape: st.tuples(arrays(np.uint8, shape), arrays(np.uint8, shape))
)


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("name", ["camera", "astronaut", "coffee"])
def test_ssim_is_that_of_scikit_image(name: str, window: Window) -> None:
    a = photograph(name)  # grey and colour, larger than a tile, and no multiple of one
    for b in (noisy(a, 20), np.roll(a, 2, axis=0), 255 - a, a // 2):
        channels = {"channel_axis": 2} if a.ndim == 3 else {}
        theirs = structural_similarity(a, b, data_range=255, **channels, **AS_SCIKIT_IMAGE[window])
        assert ssim(a, b, window=window) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("level", [1, 128, 254])
def test_ssim_is_exact_in_the_dark_and_in_the_light(
    level: int, window: Literal["gaussian", "uniform"]
) -> None:
    rng = np.random.default_rng(level)
    a, b = (level + rng.integers(-1, 2, (40, 40))).astype(np.uint8), np.full((40, 40), level)
    theirs = structural_similarity(a, b.astype(np.uint8), data_range=255, **AS_SCIKIT_IMAGE[window])
    assert ssim(a, b.astype(np.uint8), window=window) == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("side", [3, 4, 5, 6])
def test_the_window_shrinks_with_the_image(side: int) -> None:
    a, b = thumbnail("camera", 32)[:side, :20], thumbnail("camera", 32)[-side:, :20]
    odd = side - 1 + side % 2
    theirs = structural_similarity(a, b, data_range=255, win_size=odd)
    assert ssim(a, b, window="uniform") == pytest.approx(theirs, abs=1e-4)


def test_ssim_of_one_pixel_compares_brightness() -> None:
    a, b = np.full((1, 1), 100, np.uint8), np.full((1, 1), 50, np.uint8)
    c1 = (0.01 * 255) ** 2
    by_hand = (2 * 100 * 50 + c1) / (100**2 + 50**2 + c1)
    assert ssim(a, b) == pytest.approx(by_hand, abs=1e-6)
    assert ssim(a, b, window="uniform") == pytest.approx(by_hand, abs=1e-6)


def test_mse_by_hand() -> None:
    a = np.array([[0, 10], [20, 255]], np.uint8)
    b = np.array([[3, 10], [16, 0]], np.uint8)
    assert mse(a, b) == (9 + 0 + 16 + 65025) / 4
    colour = np.zeros((2, 2, 3), np.uint8)
    assert mse(colour, colour + np.array([0, 0, 6], np.uint8)) == 12.0
    assert mse(np.zeros((3, 3), np.uint8), np.full((3, 3), 255, np.uint8)) == 65025.0


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_both_are_symmetric_and_stay_in_their_range(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    assert mse(a, b) == mse(b, a) == np.square(a.astype(float) - b).mean()
    for window in ("gaussian", "uniform"):
        value = ssim(a, b, window=window)
        assert value == ssim(b, a, window=window)
        assert -1 - 1e-6 <= value <= 1 + 1e-6
        assert ssim(a, a, window=window) == 1.0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)),
        (np.zeros((0, 4), np.uint8), np.zeros((0, 4), np.uint8)),
    ],
    ids=["sizes", "channels", "float", "alpha", "empty"],
)
def test_what_cannot_be_compared_is_refused(a: np.ndarray, b: np.ndarray) -> None:
    for measure in (mse, ssim):
        with pytest.raises(ValueError, match="image"):
            measure(a, b)


def test_an_unknown_window_is_refused() -> None:
    a = np.zeros((9, 9), np.uint8)
    with pytest.raises(ValueError, match="no window 'box'; choose one of gaussian, uniform"):
        ssim(a, a, window="box")  # type: ignore[arg-type]


def test_the_common_size_is_the_smaller_width_and_the_smaller_height() -> None:
    wide, high = photograph("rocket"), thumbnail("astronaut", 500)[:, :300]
    a, b = to_common_size(wide, high)
    assert a.shape == b.shape == (min(wide.shape[0], 500), 300, 3)
    d, c = to_common_size(high, wide)
    assert np.array_equal(a, c)
    assert np.array_equal(b, d)
    same, as_well = to_common_size(wide, wide)
    assert same is wide
    assert as_well is wide
