"""Alignment: finds images that are a part of another one, framed, or slightly turned.

Local features (SIFT) give the affine map of one image onto the other. A copy differs from another
photograph of the same thing in two ways: the map scales alike in all directions, and after
alignment the pixels agree in edges and colours, those of the background, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cbir.duplicates.appearance import recoloured, repatterned
from cbir.similarity import LocalFeatures, Pixels, match, verify
from cbir.similarity.correlation import Floats, local_correlation
from cbir.similarity.opencv import opencv

__all__ = ["Alignable", "Alignment", "align", "is_copy"]

MIN_INLIERS = 8
"""Fewest inliers of two aligned images: more than chance explains. The pixels decide."""

MIN_SHARED = 0.2
"""Least share of the keypoints in the overlap that are inliers: copies reach a quarter and more,
products that differ in colour or detail before one backdrop often less."""

MAX_ANISOTROPY = 1.005
"""Largest ratio of the scales of two directions. Copies are mostly below 1.004; pictures of similar
products are often above, photographs of one view through different lenses always."""

MIN_COVERED = 0.985
"""Least share of one image that lies within the other: copies reach 0.997. Of photographs taken one
after the other from one place, or that share a logo, each shows something that the other lacks."""

MIN_MEAN, MIN_MEDIAN = 0.85, 0.94
"""Least local correlation. Crops have a median of 0.97 and more, different photographs of the same
thing at most 0.943, and then other edges: a lower mean."""

OVERLAID_MEAN, OVERLAID_MEDIAN = 0.75, 0.992
"""The same with text over one of them: the rest of the image must then agree more closely."""

MAX_RECOLOURED = 0.03
"""Largest share of the overlap with the same edges in another colour. Of originals and copies,
99 in 100 have less than 0.022; of drawn products in two colours, most have 0.06 and more."""

MAX_REPATTERNED = 0.27
"""Largest share of the textured overlap with other edges: originals with text over them reach
0.255, products that differ in their pattern 0.32 or more."""

WINDOW = 9
"""Side in pixels of the windows within which aligned images are correlated."""

Matrix = npt.NDArray[np.float64]


class Alignable(NamedTuple):
    """The descriptors of an image that alignment needs."""

    features: LocalFeatures
    thumbnail: Pixels
    """(S, S, 3): the whole image in colour, squeezed to a square."""


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Agreement of two images, the first of them mapped onto the second."""

    inliers: int
    anisotropy: float = np.inf
    """Ratio of the largest and the smallest scale of the map."""
    shared: float = 0.0
    """Inliers per keypoint in the overlap, of the image that has fewer keypoints there."""
    covered: float = 0.0
    """The larger of the shares of the two images that the overlap covers."""
    mean: float = 0.0
    """Mean of the local correlation in the overlap, weighted by contrast."""
    median: float = 0.0
    """Its weighted median."""
    recoloured: float = 1.0
    """Share of the overlap with the same edges in another colour."""
    repatterned: float = 1.0
    """Share of the textured overlap with other edges."""
    shares: Matrix | None = None
    """(3, 3): the map, of positions as shares of the sides; None where a copy was ruled out."""


def is_copy(alignment: Alignment) -> bool:
    """Whether two aligned images are copies."""
    return (
        alignment.inliers >= MIN_INLIERS
        and alignment.anisotropy <= MAX_ANISOTROPY
        and alignment.shared >= MIN_SHARED
        and alignment.covered >= MIN_COVERED
        and alignment.recoloured <= MAX_RECOLOURED
        and alignment.repatterned <= MAX_REPATTERNED
        and (
            (alignment.mean >= MIN_MEAN and alignment.median >= MIN_MEDIAN)
            or (alignment.mean >= OVERLAID_MEAN and alignment.median >= OVERLAID_MEDIAN)
        )
    )


def align(first: Alignable, second: Alignable) -> Alignment:
    """Map the first image onto the second, and measure their agreement.

    Fields after the first that rules out a copy are left at their defaults.
    """
    a, b = first.features, second.features
    verified = verify(a, b, match(a, b), model="affine")
    if verified.model is None or verified.inliers < MIN_INLIERS:
        return Alignment(verified.inliers)
    scales = np.linalg.svd(verified.model[:2, :2], compute_uv=False)
    anisotropy = float(scales[0] / scales[1])
    inverse = np.linalg.inv(verified.model).astype(np.float64)
    overlap = min(_keypoints_within(a, b, verified.model), _keypoints_within(b, a, inverse))
    shared = verified.inliers / max(1, overlap)
    if anisotropy > MAX_ANISOTROPY or shared < MIN_SHARED:
        return Alignment(verified.inliers, anisotropy, shared)
    model = (
        _to_thumbnail(first.thumbnail, (b.width, b.height))
        @ verified.model
        @ np.linalg.inv(_to_thumbnail(first.thumbnail, (a.width, a.height)))
    )
    agreement = _agreement(model, first.thumbnail, second.thumbnail)
    shares = _to_shares(b) @ verified.model @ np.linalg.inv(_to_shares(a))
    return Alignment(verified.inliers, anisotropy, shared, *agreement, shares)


def _to_shares(features: LocalFeatures) -> Matrix:
    """Map from the pixels of an image to shares of its sides: (3, 3)."""
    x, y = 1 / features.width, 1 / features.height
    return np.array([[x, 0, x / 2], [0, y, y / 2], [0, 0, 1]])


def _keypoints_within(a: LocalFeatures, b: LocalFeatures, model: Matrix) -> int:
    """Number of keypoints of one image that are mapped into the other."""
    places = a.keypoints[:, :2] @ model[:2, :2].T + model[:2, 2]
    return int(((places >= 0) & (places < (b.width, b.height))).all(axis=1).sum())


def _to_thumbnail(thumbnail: Pixels, size: tuple[int, int]) -> Matrix:
    """Map from an image of this size to its thumbnail: (3, 3)."""
    x, y = thumbnail.shape[1] / size[0], thumbnail.shape[0] / size[1]
    # The position of a pixel is its centre.
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _agreement(
    model: Matrix, thumbnail_a: Pixels, thumbnail_b: Pixels
) -> tuple[float, float, float, float, float]:
    """The fields of `Alignment` from `covered` on, of two thumbnails (S, S, 3)."""
    cv2 = opencv()
    size = thumbnail_b.shape[1], thumbnail_b.shape[0]
    scale = float(np.sqrt(abs(np.linalg.det(model[:2, :2]))))
    # The one with more detail is blurred to the resolution of the other.
    a, b = _blurred(thumbnail_a, 1 / scale), _blurred(thumbnail_b, scale)
    warped = np.asarray(cv2.warpAffine(a, model[:2], size, flags=cv2.INTER_LINEAR), np.float32)
    share = cv2.warpAffine(np.ones(thumbnail_a.shape[:2], np.float32), model[:2], size)
    covered = max(float(share.mean()), min(1.0, float(share.mean()) / scale**2))
    inside = (share > 0.99).astype(np.uint8)
    overlap = cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0) > 0
    local = local_correlation(_grey(warped), _grey(b), overlap, window=WINDOW)
    if not local.counted.any():
        return covered, 0.0, 0.0, 1.0, 1.0
    colours = recoloured(warped, b, overlap, local)
    return covered, *local.agreement(), colours, repatterned(local)


def _grey(plane: Floats) -> Floats:
    return np.asarray(opencv().cvtColor(plane, opencv().COLOR_RGB2GRAY), np.float32)


def _blurred(image: Pixels, shrinkage: float) -> Floats:
    """An image blurred before it is shrunk by that factor, so that nothing aliases."""
    plane = image.astype(np.float32)
    sigma = 0.5 * max(0.0, shrinkage**2 - 1) ** 0.5
    if sigma <= 0.2:
        return plane
    return np.asarray(opencv().GaussianBlur(plane, (0, 0), sigma), np.float32)
