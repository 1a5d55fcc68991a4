"""Outlines of parts: ellipses, smooth curves, round-cornered boxes, bodies of revolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Points = Sequence[tuple[float, float]]


def ellipse(
    x: float, y: float, rx: float, ry: float, *, start: float = 0, end: float = 360
) -> Points:
    """Points on an ellipse, from `start` to `end` degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 48))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def curve(points: Points, *, closed: bool = True) -> Points:
    """A smooth line through points (Catmull and Rom 1974)."""
    ring = [points[-1], *points, points[0], points[1]]
    if not closed:
        ring = [points[0], *points, points[-1]]
    steps = np.linspace(0, 1, 10, endpoint=False)
    smooth: list[tuple[float, float]] = []
    for a, b, c, d in zip(ring, ring[1:], ring[2:], ring[3:], strict=False):
        for t in steps:
            weights = (
                -0.5 * t + t * t - 0.5 * t**3,
                1 - 2.5 * t * t + 1.5 * t**3,
                0.5 * t + 2 * t * t - 1.5 * t**3,
                -0.5 * t * t + 0.5 * t**3,
            )
            x, y = (
                float(sum(w * p[i] for w, p in zip(weights, (a, b, c, d), strict=True)))
                for i in (0, 1)
            )
            smooth.append((x, y))
    return smooth if closed else [*smooth, ring[-2]]


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.05) -> Points:
    """A rectangle with round corners."""
    r = min(radius, (right - left) / 2, (bottom - top) / 2)
    corners = (
        (right - r, bottom - r, 0),
        (left + r, bottom - r, 90),
        (left + r, top + r, 180),
        (right - r, top + r, 270),
    )
    return [p for x, y, a in corners for p in ellipse(x, y, r, r, start=a, end=a + 90)]


def turned(profile: Points) -> Points:
    """A body of revolution: its right profile from the top to the bottom, and the mirror image."""
    right = curve(profile, closed=False)
    return [*right, *((-x, y) for x, y in reversed(right))]
