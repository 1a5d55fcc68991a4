"""Recognises text that was laid over a photograph: one picture goes on where the other has letters.

In each patch that differs, the picture whose colours go on from around it is the ground, the other
has a letter there. Text over a copy is on one of the two everywhere. Where each of them has
letters, the text belongs to what is shown: those are different pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbir.similarity.correlation import Floats
from cbir.similarity.differences import Differences
from cbir.similarity.opencv import opencv
from cbir.similarity.registration import Overlaid

__all__ = ["is_overlay"]

CONTRASTS = (18.0, 36.0)
"""Least difference of a pixel of a letter from what is below it, in levels of 255: faint letters
need the lower one, compressed ground the higher."""

PER_NOISE, NOISE_FLOOR = 3.0, 12.0
"""Least contrast in standard deviations of the noise, and added to it."""

MIN_PATCH, MIN_PATCHES = 8, 2
"""Least area of a patch in pixels, and fewest patches."""

DECIDED = 0.75
"""Share of a patch's pixels that must agree on which of the two has the letter."""

MOST_ONE_SIDED, LEAST_ONE_SIDED = 0.85, 0.57
"""Least share of the differing pixels in patches with letters on the one picture: before a smooth
ground, and before a rough one, where it is harder to tell."""

SMOOTH, ROUGH = 11.7, 21.0
"""Mean difference of the ground from its surroundings, in levels, for the one and the other."""

MAX_OTHER_SIDED, ROUGH_OTHER_SIDED = 0.07, 0.11
"""Largest share with letters on the other picture, before a smooth and before a rough ground: print
that differs has half."""

MIN_AREA, MIN_WIDTH = 0.004, 0.25
"""Least share of the picture that is covered by letters, and of its width or height: less is part
of what is shown."""

GROUND_BLUR = 5.0
"""Standard deviation in pixels of the surroundings from which the ground is estimated."""

AGREE, REACH = 0.9, 15
"""Least median correlation of the rest, and how far around letters nothing is counted."""

MIN_REST, STRAY = 0.12, 30
"""Least share of the structure that is not covered, and most differing pixels outside of text."""

Letters = npt.NDArray[np.uint8]
"""(H, W): 1 where a letter is, else 0."""


def is_overlay(pair: Overlaid, seen: Differences) -> bool:
    """Whether all that differs is text laid over one of the two pictures."""
    return any(_is_overlay(pair, seen, contrast) for contrast in CONTRASTS)


def _is_overlay(pair: Overlaid, seen: Differences, contrast: float) -> bool:
    cv2 = opencv()
    contrast = max(contrast, NOISE_FLOOR + PER_NOISE * seen.noise**0.5)
    near = cv2.dilate(seen.other.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    differs = cv2.absdiff(pair.forward, pair.second).max(axis=2) > contrast
    letters = (differs & pair.inside & near).astype(np.uint8)
    around = cv2.dilate(letters, np.ones((REACH, REACH), np.uint8)) > 0
    rest = seen.structured & ~around
    if (seen.other & ~around).sum() > STRAY or rest.sum() < MIN_REST * seen.structured.sum():
        return False
    if not rest.any() or float(np.median(seen.correlation[rest])) < AGREE:
        return False
    if letters.sum() < MIN_AREA * letters.size or not _is_wide(letters):
        return False
    ground = _ground(pair, letters)
    first, second, total, patches = _sides(pair, letters, ground)
    share = np.interp(_roughness(pair, letters, ground), (SMOOTH, ROUGH), (0, 1))
    least = np.interp(share, (0, 1), (MOST_ONE_SIDED, LEAST_ONE_SIDED))
    most = np.interp(share, (0, 1), (MAX_OTHER_SIDED, ROUGH_OTHER_SIDED))
    one, other = max(first, second), min(first, second)
    return bool(patches >= MIN_PATCHES and one >= least * total and other <= most * total)


def _is_wide(letters: Letters) -> bool:
    return any(
        np.ptp(np.flatnonzero(letters.any(axis=axis))) >= MIN_WIDTH * letters.shape[1 - axis]
        for axis in (0, 1)
    )


def _roughness(pair: Overlaid, letters: Letters, ground: Floats) -> float:
    """Mean difference of the pixels around letters from the estimated ground."""
    cv2 = opencv()
    wide, narrow = (cv2.dilate(letters, np.ones((side, side), np.uint8)) for side in (9, 3))
    around = (wide > 0) & (narrow == 0)
    if not around.any():
        return 0.0
    mean = (pair.forward[around] + pair.second[around]) / 2
    return float(np.abs(mean - ground[around]).max(axis=1).mean())


def _sides(pair: Overlaid, letters: Letters, ground: Floats) -> tuple[int, int, int, int]:
    """Pixels of patches with letters on the first and on the second picture, of all patches, and
    the number of patches."""
    cv2 = opencv()
    of_first = cv2.absdiff(pair.forward, ground).max(axis=2)
    on_second = cv2.absdiff(pair.second, ground).max(axis=2) > of_first
    count, labels = cv2.connectedComponents(letters)
    areas = np.bincount(labels.ravel(), minlength=count)[1:]
    votes = np.bincount(labels.ravel(), on_second.ravel(), minlength=count)[1:]
    large = areas >= MIN_PATCH
    areas, shares = areas[large], votes[large] / areas[large]
    first, second = areas[shares < 1 - DECIDED].sum(), areas[shares > DECIDED].sum()
    return int(first), int(second), int(areas.sum()), int(large.sum())


def _ground(pair: Overlaid, letters: Letters) -> Floats:
    """What lies below the letters, estimated from around them: (H, W, 3)."""
    cv2 = opencv()
    visible = (1 - cv2.dilate(letters, np.ones((3, 3), np.uint8))).astype(np.float32)
    mean = (pair.forward + pair.second) / 2 * visible[..., None]
    weight = cv2.GaussianBlur(visible, (0, 0), GROUND_BLUR) + 1e-4
    return np.asarray(cv2.GaussianBlur(mean, (0, 0), GROUND_BLUR) / weight[..., None], np.float32)
