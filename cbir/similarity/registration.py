"""Lays one picture exactly over another: size, place, sharpness and light are made equal.

What is left between two pictures laid over each other in this way is a difference of what they
show, or the noise of compression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels
from cbir.similarity.colour_cast import limited_cast
from cbir.similarity.correlation import VARIANCE_FLOOR, Floats
from cbir.similarity.opencv import opencv

__all__ = ["Affine", "Overlaid", "lay_over", "scale_of", "whole_onto_whole"]

Affine = npt.NDArray[np.float64]
"""(3, 3): a map of pixel positions (x, y, 1), the last row 0, 0, 1; a pixel's position is its
centre."""

REFINED_SIDE, REFINEMENTS, PRECISION = 256, 30, 3e-5
"""Longer side at which the map is refined, most steps, and the gain of the correlation at which it
is done."""

MARGIN = 4
"""Pixels along the border of the second, at that side, that do not count."""

MAX_REFINEMENT = 0.02
"""Largest movement of a corner by refinement, as a share of the longer side: more is no refinement,
as of two different drawings."""

BLURS = (0.5, 0.8, 1.2, 1.8, 2.7, 4.0)
"""Gaussian blurs, in pixels, by which the sharper picture is made like the other."""

BASE_BLUR = 0.6
"""Blur of both, which takes away half of the noise and little else."""

DETAIL = 6.0
"""Blur in pixels of what does not count as detail when sharpness is compared."""

GREY_LEVELS = 6.0
"""Largest difference of the channels of a grey picture after compression, in levels of 255."""

LEAST = 0.85
"""Share of the pixels, those that differ least, by which place and sharpness are estimated."""

SAMPLE, MAJORITY, ROUNDS, MAX_OFFSET = 3000, 0.8, 3, 30.0
"""Pixels from which the light is estimated, the share of them that is explained best and used, how
often, and the largest offset in levels of 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaid:
    """Two pictures of one size, the first laid over the second: (H, W, 3) each, in light of both.

    Where the light was changed and clipped, only one direction can be undone: `forward` is the
    first in the light of the second, `backward` the second in the light of the first.
    """

    first: Floats
    second: Floats
    forward: Floats
    backward: Floats
    gain: Floats
    """(3,): the gain of each channel from the first to the second."""
    inside: npt.NDArray[np.bool_]
    """(H, W): where both have pixels."""


def whole_onto_whole(first: Pixels | Floats, second: Pixels | Floats) -> Affine:
    """The map of one whole picture onto another, each side scaled by itself."""
    (h, w), (height, width) = first.shape[:2], second.shape[:2]
    x, y = width / w, height / h
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])


def scale_of(model: Affine) -> float:
    """How much longer lengths get by a map."""
    return float(np.sqrt(abs(np.linalg.det(model[:2, :2]))))


def lay_over(first: Pixels, second: Pixels, model: Affine, *, partly: bool = False) -> Overlaid:
    """Lay the first picture over the second by a map of the first onto the second.

    uint8 RGB (H, W, 3) each. The result has the size of the second, or is smaller where the first
    has fewer pixels there, so that nothing is compared that one of them cannot show. With `partly`,
    places where they differ most, as under text over one of them, do not count in finding place and
    sharpness.
    """
    cv2 = opencv()
    scale = scale_of(model)
    target = second
    if scale > 1.02:  # the first is coarser
        size = max(1, round(second.shape[1] / scale)), max(1, round(second.shape[0] / scale))
        target = cv2.resize(second, size, interpolation=cv2.INTER_AREA)
        model = whole_onto_whole(second, target) @ model
    elif scale < 0.98:
        size = max(1, round(first.shape[1] * scale)), max(1, round(first.shape[0] * scale))
        smaller = cv2.resize(first, size, interpolation=cv2.INTER_AREA)
        model = model @ np.linalg.inv(whole_onto_whole(first, smaller))
        first = smaller
    a, b = first.astype(np.float32), target.astype(np.float32)
    size = b.shape[1], b.shape[0]
    model = _refined(_grey(a), _grey(b), model, partly=partly)
    a = cv2.warpAffine(a, model[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(first.shape[:2], np.float32), model[:2], size) > 0.99
    blur = _sharpness(_grey(a), _grey(b), partly=partly)
    blur_a, blur_b = (np.hypot(BASE_BLUR, max(0.0, s)) for s in (blur, -blur))
    a = cv2.GaussianBlur(a, (0, 0), float(blur_a))
    b = cv2.GaussianBlur(b, (0, 0), float(blur_b))
    if _is_grey(a) != _is_grey(b):  # one was saved without its colours
        a, b = (cv2.cvtColor(_grey(plane), cv2.COLOR_GRAY2RGB) for plane in (a, b))
    (forward, gain), (backward, _) = _in_light(a, b, inside), _in_light(b, a, inside)
    return Overlaid(a, b, forward, backward, gain, inside)


def _grey(image: Floats) -> Floats:
    return np.asarray(opencv().cvtColor(image, opencv().COLOR_RGB2GRAY), np.float32)


def _is_grey(image: Floats) -> bool:
    sample = image[::7, ::7].reshape(-1, 3)
    return bool(np.quantile(sample.max(axis=1) - sample.min(axis=1), 0.99) < GREY_LEVELS)


def _refined(first: Floats, second: Floats, model: Affine, *, partly: bool) -> Affine:
    """A map improved until the pictures correlate best (Evangelidis and Psarakis 2008)."""
    cv2 = opencv()
    shrunk = [_shrunk(plane) for plane in (first, second)]
    to_first, to_second = (
        whole_onto_whole(a, b) for a, b in zip((first, second), shrunk, strict=True)
    )
    start = to_first @ np.linalg.inv(model) @ np.linalg.inv(to_second)
    # Near the border of the second, a frame around the first would pull.
    interior = np.zeros(shrunk[1].shape, np.uint8)
    interior[MARGIN:-MARGIN, MARGIN:-MARGIN] = 1
    size = shrunk[0].shape[::-1]
    counted = cv2.warpAffine(interior, start[:2], size, flags=cv2.INTER_NEAREST)
    if partly:
        laid = cv2.warpAffine(shrunk[1], start[:2], size)
        counted &= _alike(shrunk[0], laid)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, REFINEMENTS, PRECISION)
    try:
        _, fitted = cv2.findTransformECC(
            *(shrunk[1], shrunk[0], start[:2].astype(np.float32)),
            *(cv2.MOTION_AFFINE, criteria, counted, 3),
        )
    except cv2.error:  # no structure to hold on to
        return model
    inverse = np.linalg.inv(to_first) @ np.vstack([fitted, (0, 0, 1)]) @ to_second
    if abs(np.linalg.det(inverse)) < 1e-6:
        return model
    refined = np.linalg.inv(inverse)
    height, width = first.shape
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    moved = np.abs((refined - model) @ corners)[:2].max()
    return refined if moved <= max(1.5, MAX_REFINEMENT * max(second.shape)) else model


def _shrunk(plane: Floats) -> Floats:
    cv2 = opencv()
    share = min(1.0, REFINED_SIDE / max(plane.shape))
    size = max(1, round(plane.shape[1] * share)), max(1, round(plane.shape[0] * share))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _alike(first: Floats, second: Floats) -> npt.NDArray[np.uint8]:
    """Where two planes differ least: text over one of them must not count."""
    cv2 = opencv()
    difference = cv2.blur(cv2.absdiff(first, second), (5, 5))
    return np.asarray(difference <= np.quantile(difference[::2, ::2], LEAST), np.uint8)


def _sharpness(first: Floats, second: Floats, *, partly: bool) -> float:
    """Blur in pixels of the first (or, negative, of the second) by which they correlate most."""
    cv2 = opencv()
    a, b = (plane - cv2.GaussianBlur(plane, (0, 0), DETAIL) for plane in (first, second))
    if partly:
        counted = _alike(a, b)
        a, b = a * counted, b * counted

    def correlation(blur: float) -> float:
        x = cv2.GaussianBlur(a, (0, 0), blur) if blur > 0 else a
        y = cv2.GaussianBlur(b, (0, 0), -blur) if blur < 0 else b
        norms = cv2.norm(x) * cv2.norm(y)
        return float((x.ravel() @ y.ravel()) / norms) if norms > 0 else 0.0

    best, blur = correlation(0), 0.0
    for sign in (1, -1):
        for strength in BLURS:
            value = correlation(sign * strength)
            if value <= best + 1e-3:
                break
            best, blur = value, sign * strength
        if blur:
            break
    return blur


def _in_light(a: Floats, b: Floats, inside: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The first of two pictures in the light of the second, and the gain of each channel."""
    step = max(1, inside.size // SAMPLE)
    where = np.flatnonzero(inside.ravel())[::step]
    if not len(where):
        return a, np.ones(3, np.float32)
    x, y = a.reshape(-1, 3)[where], b.reshape(-1, 3)[where]
    majority = np.ones(len(x), bool)
    for _ in range(ROUNDS):
        gain, offset = _light(x[majority], y[majority])
        distances = np.abs(np.clip(gain * x + offset, 0, 255) - y).max(axis=1)
        majority = distances <= np.quantile(distances, MAJORITY)
    lit = opencv().transform(a, np.hstack([np.diag(gain), offset[:, None]]))
    return np.asarray(np.clip(lit, 0, 255, out=lit), np.float32), gain


def _light(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    covariance = ((a - mean_a) * (b - mean_b)).mean(axis=0)
    variance = ((a - mean_a) ** 2).mean(axis=0)
    gain = limited_cast((covariance + VARIANCE_FLOOR) / (variance + VARIANCE_FLOOR))
    offset = np.clip(mean_b - gain * mean_a, -MAX_OFFSET, MAX_OFFSET)
    return np.asarray(gain, np.float32), np.asarray(offset, np.float32)
