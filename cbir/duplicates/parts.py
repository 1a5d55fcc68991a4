"""Whether one image is a part of another, or stands in it turned or framed: by aligning them.

Keypoints (SIFT) say how one would lie on the other. A copy differs from another photograph of the
same thing in two ways: it was moved, turned and scaled alike in all directions, and once it is
laid on the other the pixels agree, the background's, too: their edges and their colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.duplicates.recolouring import recoloured, repatterned
from cbir.similarity import LocalFeatures, Pixels, match, verify
from cbir.similarity.correlation import Floats, local_correlation
from cbir.similarity.opencv import opencv

__all__ = ["Aligned", "align", "is_copy"]

INLIERS = 8
"""What hardly happens by chance; the pixels decide."""
SHARED = 0.2
"""Of the keypoints where the two overlap, so many must be in both: copies share a quarter and
more, products that differ in colour or detail before one backdrop often less."""
SQUEEZE = 1.005
"""How much longer one direction may become than another. Copies: mostly below 1.004; pictures of
like products often, and photographs of one view through other lenses always more."""
COVERED = 0.985
"""One of the two lies within the other: copies reach 0.997; of photographs taken one after the
other from one place, as of those that share a logo, each shows something that the other lacks."""
MEAN, MEDIAN = 0.85, 0.94
"""Of the local correlation. Crops have a median of 0.97 and more, other photographs of the same
thing at most 0.943, and then other edges: a lower mean."""
OVERLAID_MEAN, OVERLAID_MEDIAN = 0.75, 0.992
"""With text over one of them, most of it must agree the more."""
RECOLOURED = 0.03
"""Of the overlap, so much may have the same edges in another colour. Of originals and their copies,
99 in 100 have less than 0.022; of drawn products in two colours, most have 0.06 and more."""
REPATTERNED = 0.27
"""Of what is to be seen there, so much may have other edges: originals with text over them reach
0.255, products that differ in their pattern, too, 0.32."""
WINDOW = 9

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Aligned:
    """How two images lie on one another."""

    inliers: int
    squeeze: float = np.inf
    shared: float = 0.0
    """Inliers, as a share of the keypoints where the two overlap: of those of the image that has
    fewer there."""
    covered: float = 0.0
    """The larger of the shares of the two images that lie on the other."""
    mean: float = 0.0
    median: float = 0.0
    recoloured: float = 1.0
    """The share of the overlap that has the same edges in another colour."""
    repatterned: float = 1.0
    """Of what is to be seen in the overlap, the share that has other edges."""


def is_copy(found: Aligned) -> bool:
    """Whether two aligned images are copies."""
    return (
        found.inliers >= INLIERS
        and found.squeeze <= SQUEEZE
        and found.shared >= SHARED
        and found.covered >= COVERED
        and found.recoloured <= RECOLOURED
        and found.repatterned <= REPATTERNED
        and (
            (found.mean >= MEAN and found.median >= MEDIAN)
            or (found.mean >= OVERLAID_MEAN and found.median >= OVERLAID_MEDIAN)
        )
    )


def align(first: tuple[LocalFeatures, Pixels], second: tuple[LocalFeatures, Pixels]) -> Aligned:
    """Lay the first image on the second: keypoints and the whole, squashed (S, S, 3)."""
    (a, colour_a), (b, colour_b) = first, second
    found = verify(a, b, match(a, b), model="affine")
    if found.model is None or found.inliers < INLIERS:
        return Aligned(found.inliers)
    grown = np.linalg.svd(found.model[:2, :2], compute_uv=False)
    squeeze = float(grown[0] / grown[1])
    back = np.linalg.inv(found.model).astype(np.float64)
    overlap = min(_within(a, b, found.model), _within(b, a, back))
    shared = found.inliers / max(1, overlap)
    if squeeze > SQUEEZE or shared < SHARED:
        return Aligned(found.inliers, squeeze, shared)
    moved = (
        _between(colour_a, (b.width, b.height))
        @ found.model
        @ np.linalg.inv(_between(colour_a, (a.width, a.height)))
    )
    return Aligned(found.inliers, squeeze, shared, *_compared(moved, colour_a, colour_b))


def _within(a: LocalFeatures, b: LocalFeatures, model: Matrix) -> int:
    """How many keypoints of one image lie on the other, once it is laid there."""
    places = a.keypoints[:, :2] @ model[:2, :2].T + model[:2, 2]
    return int(((places >= 0) & (places < (b.width, b.height))).all(axis=1).sum())


def _between(squashed: Pixels, size: tuple[int, int]) -> Matrix:
    """From places in an image of this size to places in its squashed one: (3, 3)."""
    x, y = squashed.shape[1] / size[0], squashed.shape[0] / size[1]
    # A pixel's place is its centre.
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _compared(
    moved: Matrix, colour_a: Pixels, colour_b: Pixels
) -> tuple[float, float, float, float, float]:
    """What `Aligned` says from `covered` on, of two images (S, S, 3)."""
    cv2 = opencv()
    size = colour_b.shape[1], colour_b.shape[0]
    scale = float(np.sqrt(abs(np.linalg.det(moved[:2, :2]))))
    # The one that shows more detail is blurred to what the other can show.
    a, b = _blurred(colour_a, 1 / scale), _blurred(colour_b, scale)
    laid = np.asarray(cv2.warpAffine(a, moved[:2], size, flags=cv2.INTER_LINEAR), np.float32)
    share = cv2.warpAffine(np.ones(colour_a.shape[:2], np.float32), moved[:2], size)
    covered = max(float(share.mean()), min(1.0, float(share.mean()) / scale**2))
    inside = (share > 0.99).astype(np.uint8)
    where = cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0) > 0
    local = local_correlation(_grey(laid), _grey(b), where, window=WINDOW)
    if not local.counted.any():
        return covered, 0.0, 0.0, 1.0, 1.0
    return covered, *local.agreement(), recoloured(laid, b, where, local), repatterned(local)


def _grey(plane: Floats) -> Floats:
    return np.asarray(opencv().cvtColor(plane, opencv().COLOR_RGB2GRAY), np.float32)


def _blurred(image: Pixels, shrunk: float) -> Floats:
    """An image as it is before it is shrunk by that factor, so that nothing aliases."""
    plane = image.astype(np.float32)
    sigma = 0.5 * max(0.0, shrunk**2 - 1) ** 0.5
    if sigma <= 0.2:
        return plane
    return np.asarray(opencv().GaussianBlur(plane, (0, 0), sigma), np.float32)
