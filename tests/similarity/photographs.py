"""Photographs that come with scikit-image, and views of them whose geometry is known."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


@cache
def photograph(name: str) -> Pixels:
    """`astronaut`, `coffee`, `chelsea`, `rocket` (H, W, 3) or `camera` (H, W)."""
    image: Pixels = getattr(data, name)()
    image.flags.writeable = False
    return image


def thumbnail(name: str, side: int = 256) -> Pixels:
    """A photograph at side × side pixels."""
    shrunk = cv2.resize(photograph(name), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)


def turned_and_scaled(image: Pixels, degrees: float, scale: float) -> tuple[Pixels, Matrix]:
    """The image turned about its centre and scaled, and the map (3, 3) of its pixels."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    model = np.vstack([turn, (0, 0, 1)])
    return warped(image, model), model


def seen_from_the_side(image: Pixels) -> tuple[Pixels, Matrix]:
    """The image as a camera sees it that stands to the left of it."""
    height, width = image.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    shift = [(0, 0), (0, 0.15 * height), (0, -0.2 * height), (0, 0)]
    seen = corners * np.array((0.8, 1), np.float32) + np.array(shift, np.float32)
    model = np.asarray(cv2.getPerspectiveTransform(corners, seen), np.float64)
    return warped(image, model), model


def warped(image: Pixels, model: Matrix) -> Pixels:
    height, width = image.shape[:2]
    return np.asarray(cv2.warpPerspective(image, model, (width, height)), np.uint8)


def noisy(image: Pixels, sigma: float, seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
