"""Geometric verification: a homography or affine map that tentative matches agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cbir.similarity.keypoints import LocalFeatures
from cbir.similarity.matching import Matches
from cbir.similarity.opencv import opencv

__all__ = ["CHANCE_INLIERS", "Model", "Verification", "places_of", "verify"]

Model = Literal["homography", "affine"]
Points = npt.NDArray[np.float32]

THRESHOLD = 3.0
"""Largest error of an inlier in pixels, of an image whose longer side is 480."""

MIN_MATCHES = 4
"""Fewest matches for a homography; an affine map needs three, which agree too easily."""

CHANCE_INLIERS = 8
"""Fewest inliers that chance hardly explains: among 4,500 pairs of unrelated photographs none had
more than 5 with SIFT, or 6 with ORB."""

MAX_ITERATIONS = 2000
CONFIDENCE = 0.999

MAX_ZOOM = 8.0
"""Largest change of lengths by a model, anywhere among its inliers; beyond it is rejected."""

MAX_SQUEEZE = 5.0
"""Largest ratio of the scales of two directions, a view from 78°; beyond it is rejected."""


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """The tentative matches of two images that fit one geometric model."""

    tentative: int
    """Number of tentative matches, without those that repeat a pair of positions."""
    inliers: int
    """Matches that fit the model; 0 where there is none."""
    model: npt.NDArray[np.float64] | None
    """(3, 3) map from the first image to the second, in the pixels of the features; the last row
    of an affine model is 0, 0, 1. None where no plausible model was found."""
    matches: Matches
    """(inliers, 2) indices of keypoints."""
    spread: float
    """Share of the image, in [0, 1], that the convex hull of the inliers covers: the smaller of
    the two images' shares. Near 1 the images are the same as a whole; a shared object or logo
    covers little."""

    @property
    def inlier_ratio(self) -> float:
        """Inliers per tentative match, in [0, 1]; 0 without any match."""
        return self.inliers / self.tentative if self.tentative else 0.0


def verify(
    a: LocalFeatures, b: LocalFeatures, matches: Matches, *, model: Model = "homography"
) -> Verification:
    """Fit a homography or an affine map to tentative matches and return the inliers.

    MAGSAC++ (Barath et al. 2020) as in OpenCV's USAC, with a fixed seed: the same input always
    gives the same result. An inlier has an error of at most 3 pixels. Several matches between the
    same two positions (a corner with two orientations) count once. Models that mirror, collapse or
    tear the image are rejected, and fewer than 4 matches. Raises ValueError for an unknown model.
    """
    if model not in ("homography", "affine"):
        raise ValueError(f"no model {model!r}; choose homography or affine")
    matches = _distinct(a, b, matches)
    nothing = Verification(len(matches), 0, None, np.empty((0, 2), np.int32), 0.0)
    if len(matches) < MIN_MATCHES:
        return nothing
    source = a.keypoints[matches[:, 0], :2]
    target = b.keypoints[matches[:, 1], :2]
    fitted, inside = _fit(source, target, model)
    if fitted is None or inside.sum() < MIN_MATCHES or not _plausible(fitted, source[inside]):
        return nothing
    spread = min(
        _hull(source[inside]) / (a.width * a.height), _hull(target[inside]) / (b.width * b.height)
    )
    return Verification(len(matches), int(inside.sum()), fitted, matches[inside], spread)


def places_of(a: LocalFeatures, b: LocalFeatures, verified: Verification) -> Points:
    """Positions of verified matches: (M, 4), x and y in a, then in b, as shares of the sides."""
    first = a.keypoints[verified.matches[:, 0], :2] / (a.width, a.height)
    second = b.keypoints[verified.matches[:, 1], :2] / (b.width, b.height)
    return np.hstack([first, second]).astype(np.float32)


def _distinct(a: LocalFeatures, b: LocalFeatures, matches: Matches) -> Matches:
    """The first match between any two places, in the order of the matches."""
    places = np.hstack([a.keypoints[matches[:, 0], :2], b.keypoints[matches[:, 1], :2]])
    _, first = np.unique(places.round(), axis=0, return_index=True)
    return matches[np.sort(first)]


def _fit(
    source: Points, target: Points, model: Model
) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.bool_]]:
    """The model as (3, 3), None if there is none, and which of the M matches are inliers, (M,)."""
    cv2 = opencv()
    estimate = cv2.findHomography if model == "homography" else cv2.estimateAffine2D
    fitted, mask = estimate(source, target, _parameters(cv2))
    if fitted is None or not np.isfinite(fitted).all():
        return None, np.zeros(len(source), bool)
    if model == "affine":
        fitted = np.vstack([fitted, (0.0, 0.0, 1.0)])
    return np.asarray(fitted, np.float64), mask.ravel().astype(bool)


def _parameters(cv2: Any) -> Any:
    """The settings of USAC_MAGSAC with a fixed seed: cv2.setRNGSeed would apply to all threads."""
    parameters = cv2.UsacParams()
    parameters.sampler = cv2.SAMPLING_UNIFORM
    parameters.score = cv2.SCORE_METHOD_MAGSAC
    parameters.loMethod = cv2.LOCAL_OPTIM_SIGMA
    parameters.threshold = THRESHOLD
    parameters.maxIterations = MAX_ITERATIONS
    parameters.confidence = CONFIDENCE
    parameters.randomGeneratorState = 0
    parameters.isParallel = False
    return parameters


def _plausible(model: npt.NDArray[np.float64], points: Points) -> bool:
    """Whether a movement of the camera can explain how the model moves the inliers (M, 2).

    Around each of them the model is the Jacobian J of (x, y) → (u, v) / w. det J ≤ 0 mirrors the
    image or has the horizon run through it; the singular values of J are how much lengths grow.
    """
    u, v, w = model @ np.vstack([points.T, np.ones(len(points))])
    if abs(w).min() < 1e-9:
        return False
    jacobian = np.empty((len(points), 2, 2))
    jacobian[:, 0] = (model[0, :2] - (u / w)[:, None] * model[2, :2]) / w[:, None]
    jacobian[:, 1] = (model[1, :2] - (v / w)[:, None] * model[2, :2]) / w[:, None]
    if (np.linalg.det(jacobian) <= 0).any():
        return False
    grown = np.linalg.svd(jacobian, compute_uv=False)
    most, least = grown[:, 0], grown[:, 1]
    return bool(
        most.max() <= MAX_ZOOM
        and least.min() >= 1 / MAX_ZOOM
        and (most <= MAX_SQUEEZE * least).all()
    )


def _hull(points: Points) -> float:
    """Area of the convex hull of (M, 2) points, in square pixels."""
    cv2 = opencv()
    return float(cv2.contourArea(cv2.convexHull(points)))
