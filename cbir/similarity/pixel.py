"""Compares two aligned images of one size pixel by pixel: MSE and SSIM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.arrays import check_pixels
from cbir.similarity.opencv import opencv

__all__ = ["DATA_RANGE", "Window", "mse", "ssim"]

Window = Literal["gaussian", "uniform"]
Plane = npt.NDArray[np.float32]

DATA_RANGE = 255
"""Difference between the largest and the smallest possible value."""

WINDOW_SIDE: dict[Window, int] = {"gaussian": 11, "uniform": 7}
SIGMA = 1.5
C1 = (0.01 * DATA_RANGE) ** 2
C2 = (0.03 * DATA_RANGE) ** 2

TILE_ROWS, TILE_COLUMNS = 128, 256
"""Size of a tile, whose planes fit the processor's cache: twice as fast as whole planes of 256
pixels, and memory does not grow with the image."""


def mse(a: Pixels, b: Pixels) -> float:
    """Mean squared error of two images of one shape: 1/n · Σ (a − b)², from 0 to 65025.

    n counts every pixel of every channel. Raises ValueError for images of different shapes.
    """
    _check_pair(a, b)
    cv2 = opencv()
    # The sum is a whole number; OpenCV's has rounding errors.
    return float(round(cv2.norm(a, b, cv2.NORM_L2SQR)) / a.size)


def ssim(a: Pixels, b: Pixels, *, window: Window = "gaussian") -> float:
    """Structural similarity of two images of one shape (Wang et al. 2004), from -1 to 1.

    The mean over all windows that lie within the image of

        (2 μa μb + C1) (2 σab + C2) / ((μa² + μb² + C1) (σa² + σb² + C2))

    with C1 = (0.01 · 255)², C2 = (0.03 · 255)². `gaussian` weighs 11 × 11 pixels with σ = 1.5, as
    in the paper; `uniform` weighs 7 × 7 pixels alike and takes sample (co)variances, as
    scikit-image does by default. The SSIM of colour images is the mean over their channels.

    In an image smaller than the window, the window is the largest odd square that fits; of a
    single pixel only the brightness is compared. 1 means identical. Raises ValueError for images
    of different shapes, or another window.
    """
    _check_pair(a, b)
    if window not in WINDOW_SIDE:
        raise ValueError(f"no window {window!r}; choose one of {', '.join(WINDOW_SIDE)}")
    side = min(WINDOW_SIDE[window], *a.shape[:2])
    side -= 1 - side % 2
    kernel = _kernel(window, side)
    # The variance of a sample of n values is n / (n - 1) times their mean squared deviation.
    unbias = side**2 / (side**2 - 1) if window == "uniform" and side > 1 else 1.0
    total = sum(_tile_sum(x, y, kernel, unbias) for x, y in _tiles(a, b, side))
    channels = a.size // (a.shape[0] * a.shape[1])
    windows = (a.shape[0] - side + 1) * (a.shape[1] - side + 1) * channels
    return float(total / windows)


def _check_pair(a: Pixels, b: Pixels) -> None:
    check_pixels(a)
    check_pixels(b)
    if a.shape != b.shape:
        raise ValueError(
            f"images of {a.shape} and {b.shape} cannot be compared pixel by pixel; "
            "cbir.similarity.to_common_size brings them to one size"
        )


def _kernel(window: Window, side: int) -> Plane:
    """The weights of a window along one axis, (side, 1), of sum 1."""
    if window == "uniform":
        return np.full((side, 1), 1 / side, np.float32)
    cv2 = opencv()
    return np.asarray(cv2.getGaussianKernel(side, SIGMA, cv2.CV_32F), np.float32)


def _tiles(a: Pixels, b: Pixels, side: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Tiles of both images, channel by channel, overlapping by the size of a window."""
    height, width = a.shape[:2]
    planes = [(a, b)] if a.ndim == 2 else [(a[..., c], b[..., c]) for c in range(a.shape[2])]
    for x, y in planes:
        for top in range(0, height - side + 1, TILE_ROWS):
            rows = slice(top, top + TILE_ROWS + side - 1)
            for left in range(0, width - side + 1, TILE_COLUMNS):
                columns = slice(left, left + TILE_COLUMNS + side - 1)
                yield x[rows, columns], y[rows, columns]


def _tile_sum(a: Pixels, b: Pixels, kernel: Plane, unbias: float) -> float:
    """The sum of the SSIM of all windows within a tile (H, W)."""
    cv2 = opencv()
    reach = len(kernel) // 2
    within = slice(reach, a.shape[0] - reach), slice(reach, a.shape[1] - reach)

    def mean(plane: Plane) -> Plane:
        smooth: Plane = cv2.sepFilter2D(plane, -1, kernel, kernel)
        return smooth[within]

    # Around grey instead of black squares are small, and float32 is exact enough.
    x, y = a.astype(np.float32) - 128, b.astype(np.float32) - 128
    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y)
    covariance -= mean_x * mean_y
    # Only the sum of the two variances is needed: one filter less.
    variances = mean(x * x + y * y)
    variances -= mean_x * mean_x + mean_y * mean_y
    mean_x += 128
    mean_y += 128
    similarity = 2 * mean_x * mean_y + C1
    similarity *= 2 * unbias * covariance + C2
    energy = mean_x * mean_x + mean_y * mean_y + C1
    energy *= unbias * variances + C2
    similarity /= energy
    return float(similarity.sum(dtype=np.float64))
