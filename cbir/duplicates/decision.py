"""Decides whether two pictures that look alike are copies, by what can be seen in them.

Candidates agree when small, which two pages, packs or signs do whose print differs. Here the two
are laid over each other at up to 512 pixels, drawn ones at up to 1280, and their differences are
counted where they are. The thresholds come from 200 photographs with 3,200 altered versions and
from 720 drawn documents, packs, signs, screens and tickets (`scripts/benchmark duplicates`): after
compression, noise and resampling no place differs by more than 20 pixels, and different pictures
differ somewhere by 30 or more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from cbir.arrays import Pixels
from cbir.duplicates.coverage import covered_shares
from cbir.duplicates.overlay import is_overlay
from cbir.similarity.correlation import Floats
from cbir.similarity.differences import differences
from cbir.similarity.opencv import opencv
from cbir.similarity.registration import Affine, lay_over, scale_of, whole_onto_whole
from cbir.similarity.tiny import oriented

__all__ = [
    "DRAWN_SIDE",
    "SIDE",
    "Decision",
    "Glance",
    "Outcome",
    "Picture",
    "decide",
    "decide_closely",
    "decide_quickly",
]

Outcome: TypeAlias = Literal["copy", "alike", "different"]
"""One shows what the other shows; too little can be seen to tell; they show different things."""

SIDE, DRAWN_SIDE = 512, 1280
"""Longer side in pixels at which two pictures are compared first; and drawn ones, whose print is
small, once more."""

MIN_SIDE = 256
"""Longer side in pixels that one of two printed pictures must have: of two smaller ones, nobody
knows what was printed."""

QUICK_SIDE, QUICK_AREA = 176, 14.0
"""Longer side at which printed pictures are compared beforehand, and the area of a difference that
suffices there: of an archive of one form, most pairs are decided so."""

TOLERATED, PER_NOISE = 6.5, 1.0
"""Largest connected difference in pixels that compression leaves, and more of it with noise."""

MAX_NOISE = 150.0
"""Largest variance, in levels squared, that noise may leave in the quieter quarter of a picture:
noise with a standard deviation of 20 levels leaves 40."""

UNSURE = 3.0
"""Up to so many times as much, it is not sure that the two differ."""

MIN_STRUCTURE = 60
"""Fewest pixels with structure by which a copy can be told."""

MIN_CORRELATION = 0.8
"""Least median correlation of the places with structure: versions of a photograph reach 0.9."""

GROUND, GROUND_LEVELS = 0.45, 4
"""Share of the pixels within so many levels of the most frequent one from which a picture counts as
drawn: pages, packs and screens have a ground of one colour, 3 in 200 photographs do."""

GROUND_REACH, FEW_COLOURS = 24, 45.0
"""Levels around the ground that count as ground, and the number of other colours (the exponential
of their entropy, in cells of 16 levels) below which a picture counts as printed: packs and pages
have up to 40, photographs before a white wall mostly 50 and more."""

LESS_GROUND, FEWER_COLOURS = 0.3, 25.0
"""The same of packs before a wall, whose ground is smaller."""

OVERLAY_SIDE = 320
"""Least longer side in pixels at which text over a photograph is told from print."""

LOST = 0.5
"""Share of a drawn picture's structure that the smaller one of the two cannot show, from which the
print is too small to be compared."""

FLAT = 5.0
"""Largest difference of the mean of a cell, in levels of 255, of one flat colour with noise."""

BLANK_CELL = 8
"""Side in pixels of the cells whose means tell a faint picture from noise."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether two pictures are copies of one another, and why not."""

    outcome: Outcome
    reason: str = ""
    """Empty for a copy; otherwise in a few words."""
    area: int = 0
    """Pixels of the largest connected difference, of a picture whose longer side is `SIDE`."""
    first_covered: float = 1.0
    second_covered: float = 1.0
    """Share of what the first shows that lies within the second, and the reverse: 1 for whole
    pictures. A frame of one colour counts as nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What a picture is like, and the picture itself, small: 70 kB at most."""

    small: Pixels
    """uint8 RGB (H, W, 3), no side longer than `QUICK_SIDE`."""
    blank: bool
    """One flat colour, but for noise."""
    grounded: bool
    """With a ground of one colour, as pages, packs and screens have."""
    printed: bool
    """And with few colours besides."""
    more: str = ""
    """What the file holds besides, as `cbir.images.holds_more` says it."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as decisions need it, with what is known of it alone."""

    pixels: Pixels
    """uint8 RGB (H, W, 3), no side longer than `DRAWN_SIDE`."""
    glance: Glance

    @classmethod
    def of(cls, pixels: Pixels, *, more: str = "") -> Picture:
        """Examine uint8 RGB pixels (H, W, 3) of any size; `more`: what the file holds besides."""
        pixels = shrunk(pixels, DRAWN_SIDE)
        grounded = _has_ground(pixels)
        few = FEW_COLOURS if grounded else FEWER_COLOURS
        printed = _has_ground(pixels, LESS_GROUND) and _colours(pixels) < few
        small = shrunk(pixels, QUICK_SIDE)
        return cls(pixels, Glance(small, _is_blank(pixels), grounded, printed, more))


def decide(
    first: Picture, second: Picture, *, orientation: int = 0, shares: Affine | None = None
) -> Decision:
    """Decide about two pictures.

    `orientation`: that in which the first looks like the second, one of `similarity.tiny`.
    `shares` maps the first onto the second, positions as shares of the sides; by default whole
    onto whole.
    """
    quick = decide_quickly(first.glance, second.glance, orientation=orientation, shares=shares)
    return quick or decide_closely(first, second, orientation=orientation, shares=shares)


def decide_quickly(
    first: Glance, second: Glance, *, orientation: int = 0, shares: Affine | None = None
) -> Decision | None:
    """Decide as `decide` does where that needs no more than a glance; else None."""
    if first.blank or second.blank:
        return Decision("different", "one flat colour")
    if shares is None and (first.printed or second.printed):
        small = np.ascontiguousarray(oriented(first.small, orientation))
        if _differ_at_once(small, second.small):
            return Decision("different", "places in them differ")
    return None


def decide_closely(
    first: Picture, second: Picture, *, orientation: int = 0, shares: Affine | None = None
) -> Decision:
    """Decide as `decide` does where a glance does not suffice."""
    a, b = np.ascontiguousarray(oriented(first.pixels, orientation)), second.pixels
    model = whole_onto_whole(a, b) if shares is None else _in_pixels(shares, a, b)
    printed = first.glance.printed or second.glance.printed
    decision = _decide_at(a, b, model, SIDE, printed=printed)
    if decision.outcome == "copy" and (first.glance.grounded or second.glance.grounded):
        if min(max(a.shape), max(b.shape)) > 1.1 * SIDE:
            decision = _decide_at(a, b, model, DRAWN_SIDE, printed=printed)
        too_small = printed and max(*a.shape, *b.shape) < MIN_SIDE
        if decision.outcome == "copy" and (too_small or _lost(a, b, model) > LOST):
            return Decision("alike", "too small to show their print")
    more = first.glance.more or second.glance.more
    if decision.outcome == "copy" and more:
        return Decision("alike", f"one holds more than a picture: {more}")
    if decision.outcome != "copy" or shares is None:
        return decision
    of_first, of_second = covered_shares(a, b, model)
    return replace(decision, first_covered=of_first, second_covered=of_second)


def _differ_at_once(first: Pixels, second: Pixels) -> bool:
    """Whether two whole pictures differ even when small, which most do whose print differs."""
    seen = differences(lay_over(first, second, whole_onto_whole(first, second)))
    return seen.area > QUICK_AREA + PER_NOISE * seen.noise


def _in_pixels(shares: Affine, first: Pixels, second: Pixels) -> Affine:
    """A map of positions as shares of the sides, as one of pixels."""
    return _from_shares(second) @ shares @ np.linalg.inv(_from_shares(first))


def _from_shares(picture: Pixels) -> Affine:
    height, width = picture.shape[:2]
    return np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1.0]])


def _is_blank(picture: Pixels) -> bool:
    """Whether the means of all cells of a picture are one colour."""
    cv2 = opencv()
    size = tuple(max(1, side // BLANK_CELL) for side in picture.shape[1::-1])
    cells = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    return bool(np.abs(cells - np.median(cells, axis=0)).max() <= FLAT)


def _has_ground(picture: Pixels, share: float = GROUND) -> bool:
    """Whether most pixels are near one level of grey."""
    grey = opencv().cvtColor(picture, opencv().COLOR_RGB2GRAY)
    counts = np.bincount(grey.ravel(), minlength=256)
    window = np.ones(2 * GROUND_LEVELS + 1)
    return bool(np.convolve(counts, window, "same").max() > share * counts.sum())


def _colours(picture: Pixels) -> float:
    """Number of colours besides the ground: the exponential of their entropy."""
    pixels = opencv().GaussianBlur(shrunk(picture, SIDE), (0, 0), 1.0).reshape(-1, 3)
    cells = (pixels >> 4).astype(np.int64) @ np.array([256, 16, 1])
    ground = np.median(pixels[cells == np.bincount(cells).argmax()], axis=0)
    others = np.bincount(cells[np.abs(pixels - ground).max(axis=1) > GROUND_REACH])
    shares = others[others > 0] / max(1, others.sum())
    return float(np.exp(-(shares * np.log(shares)).sum()))


def shrunk(picture: Pixels, side: int) -> Pixels:
    """A picture whose longer side is `side` pixels at most."""
    cv2 = opencv()
    share = side / max(picture.shape[:2])
    if share >= 1:
        return picture
    size = max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decide_at(a: Pixels, b: Pixels, model: Affine, side: int, *, printed: bool) -> Decision:
    """Decide about two pictures shrunk to that side."""
    first, second = shrunk(a, side), shrunk(b, side)
    model = whole_onto_whole(b, second) @ model @ np.linalg.inv(whole_onto_whole(a, first))
    pair = lay_over(first, second, model)
    seen = differences(pair, printed=printed)
    if seen.noise > MAX_NOISE:
        return Decision("different", "most of them differs")
    structure = int(seen.structured.sum())
    if structure < MIN_STRUCTURE:
        return Decision("alike", "too little in them to compare")
    tolerated = TOLERATED + PER_NOISE * seen.noise
    area = seen.area
    correlation = float(np.median(seen.correlation[seen.structured]))
    if area <= tolerated and correlation >= MIN_CORRELATION:
        return Decision("copy", area=area)
    if not printed and max(pair.second.shape) >= OVERLAY_SIDE:
        pair = lay_over(first, second, model, partly=True)
        if is_overlay(pair, differences(pair)):
            return Decision("copy", area=area)
    if area <= UNSURE * tolerated and correlation >= MIN_CORRELATION:
        return Decision("alike", "a small place differs", area)
    return Decision("different", "places in them differ", area)


def _lost(first: Pixels, second: Pixels, model: Affine) -> float:
    """Share of the structure of the picture with more pixels that the other one cannot show."""
    cv2 = opencv()
    scale = scale_of(model)
    finer, share = (first, scale) if scale < 1 else (second, 1 / scale)
    plane = _grey(finer)
    height, width = plane.shape
    size = max(1, round(width * share)), max(1, round(height * share))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    residual = plane - cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    mean = cv2.blur(plane, (7, 7))
    variance = cv2.blur(plane * plane, (7, 7)) - mean * mean
    structured = variance > 150
    if not structured.any():
        return 0.0
    lost = cv2.blur(residual * residual, (7, 7))
    return float(lost[structured].sum() / variance[structured].sum())


def _grey(image: Pixels) -> Floats:
    return np.asarray(opencv().cvtColor(image, opencv().COLOR_RGB2GRAY), np.float32)
