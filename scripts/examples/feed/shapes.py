"""Shapes of the products of the demo feed: eight categories with four designs each."""

from __future__ import annotations

from collections.abc import Callable

from scripts.examples.feed.canvas import Canvas, Colour
from scripts.examples.feed.outlines import box, curve, ellipse, turned

WOOD: Colour = (176, 128, 84)
STEEL: Colour = (168, 172, 178)
CREAM: Colour = (246, 242, 232)
DARK: Colour = (46, 44, 50)


def darker(colour: Colour, factor: float = 0.6) -> Colour:
    red, green, blue = (round(factor * value) for value in colour)
    return red, green, blue


def mug(canvas: Canvas, design: int) -> None:
    """Straight, tapered, round, and tall."""
    top, bottom, height, belly = (
        (0.56, 0.54, 0.62, 0.0),
        (0.66, 0.42, 0.58, 0.0),
        (0.5, 0.42, 0.56, 0.2),
        (0.46, 0.5, 0.86, 0.0),
    )[design]
    middle = (top + bottom) / 2 + belly
    canvas.part(
        ellipse(middle - 0.02, -0.02, 0.4, 0.42 * min(1, height / 0.6)),
        darker(canvas.look.colour, 0.9),
        shade="ball",
        hole=ellipse(middle - 0.03, -0.02, 0.25, 0.27 * min(1, height / 0.6)),
    )
    base = [(x, height + 0.09 * y) for x, y in ellipse(0, 0, bottom, 1, start=0, end=180)]
    left = curve([(-bottom, height), (-middle, 0), (-top, -height)], closed=False)
    right = curve([(top, -height), (middle, 0), (bottom, height)], closed=False)
    canvas.part([*left, *right, *base], shade="round")
    canvas.part(ellipse(0, -height, top, 0.12), canvas.look.accent)
    canvas.part(ellipse(0, -height + 0.012, top - 0.05, 0.092), darker(canvas.look.accent, 0.72))


def shoe(canvas: Canvas, design: int) -> None:
    """Low, high, running and slip-on."""
    ankle = (-0.3, -0.72, -0.32, -0.2)[design]
    sole = (0.12, 0.12, 0.24, 0.09)[design]
    upper = [
        *((-0.82, 0.36), (-0.86, 0.05), (-0.8, ankle), (-0.4, ankle + 0.03)),
        *((-0.18, ankle / 2 - 0.02), (0.2, 0.02), (0.62, 0.12), (0.86, 0.28), (0.86, 0.38)),
    ]
    canvas.part([*curve(upper, closed=False)], shade="cloth")
    canvas.part(ellipse(-0.6, ankle + 0.01, 0.21, 0.06), darker(canvas.look.colour, 0.45))
    canvas.part(
        curve([(0.5, 0.12), (0.72, 0.15), (0.88, 0.3), (0.86, 0.4), (0.55, 0.4), (0.46, 0.26)]),
        canvas.look.accent,
        shade="ball",
    )
    if design == 2:
        canvas.line(curve([(-0.5, 0.3), (-0.2, 0.2), (0.1, -0.02)], closed=False), 0.09, CREAM)
    canvas.part(box(-0.9, 0.34, 0.92, 0.34 + sole, 0.08), CREAM, shade="flat")
    canvas.part(box(-0.9, 0.34 + 0.65 * sole, 0.92, 0.36 + sole, 0.05), darker(CREAM, 0.72))
    if design != 3:
        for step in range(4 if design != 1 else 6):
            x, y = 0.24 - 0.13 * step, 0.02 - 0.075 * step
            canvas.line([(x - 0.03, y - 0.03), (x + 0.07, y + 0.12)], 0.035, CREAM)


def bag(canvas: Canvas, design: int) -> None:
    """Tote, backpack, handbag and messenger."""
    accent = canvas.look.accent
    if design == 0:
        for dark, dx in ((0.7, 0.06), (1.0, 0.0)):
            handle = curve(
                [(-0.3 + dx, -0.3), (-0.22 + dx, -0.95), (0.22 + dx, -0.95), (0.3 + dx, -0.3)],
                closed=False,
            )
            canvas.line(handle, 0.06, darker(accent, dark))
        canvas.part([(-0.68, -0.35), (0.68, -0.35), (0.6, 0.72), (-0.6, 0.72)], shade="cloth")
    elif design == 1:
        canvas.line(ellipse(0, -0.72, 0.18, 0.18, start=180, end=360), 0.06, accent)
        canvas.part(box(-0.58, -0.75, 0.58, 0.75, 0.42), shade="cloth")
        canvas.part(box(-0.42, 0.05, 0.42, 0.6, 0.14), darker(canvas.look.colour, 0.82))
        canvas.line([(-0.42, 0.2), (0.42, 0.2)], 0.025, accent)
        canvas.line([(-0.46, -0.2), (0.46, -0.2)], 0.03, accent)
    elif design == 2:
        canvas.line(ellipse(0, -0.25, 0.36, 0.5, start=180, end=360), 0.07, accent)
        canvas.part(
            curve(
                [
                    (-0.5, -0.25),
                    (0.5, -0.25),
                    (0.78, 0.55),
                    (0.6, 0.66),
                    (-0.6, 0.66),
                    (-0.78, 0.55),
                ]
            ),
            shade="cloth",
        )
        canvas.part(box(-0.14, 0.02, 0.14, 0.24, 0.05), STEEL, shade="ball")
    else:
        canvas.line(
            curve([(-0.7, -0.1), (-0.45, -0.9), (0.45, -0.9), (0.7, -0.1)], closed=False),
            0.05,
            accent,
        )
        canvas.part(box(-0.78, -0.25, 0.78, 0.6, 0.1), darker(canvas.look.colour, 0.85))
        canvas.part(box(-0.8, -0.3, 0.8, 0.28, 0.14), shade="cloth")
        for x in (-0.42, 0.42):
            canvas.part(box(x - 0.05, 0.1, x + 0.05, 0.42, 0.03), accent)


def lamp(canvas: Canvas, design: int) -> None:
    """Cone, drum, globe and arc."""
    accent = canvas.look.accent
    if design == 3:
        canvas.line(
            curve([(-0.5, 0.85), (-0.52, -0.3), (-0.1, -0.85), (0.4, -0.5)], closed=False),
            0.05,
            accent,
        )
        canvas.part(ellipse(-0.5, 0.86, 0.34, 0.08), darker(accent, 0.8))
        canvas.part([*ellipse(0.42, -0.12, 0.42, 0.42, start=180, end=360)], shade="lit")
        canvas.part(ellipse(0.42, -0.12, 0.42, 0.07), (255, 240, 200))
        return
    canvas.line([(0, -0.2), (0, 0.8)], 0.07, accent)
    canvas.part(ellipse(0, 0.82, 0.38, 0.09), darker(accent, 0.8), shade="round")
    canvas.part(ellipse(0, 0.78, 0.38, 0.09), accent, shade="round")
    if design == 2:
        canvas.part(ellipse(0, -0.35, 0.52, 0.52), shade="lit")
        return
    top, bottom = (0.26, 0.7) if design == 0 else (0.55, 0.6)
    canvas.part([(-top, -0.85), (top, -0.85), (bottom, -0.02), (-bottom, -0.02)], shade="lit")
    canvas.part(ellipse(0, -0.02, bottom, 0.07), (255, 240, 205))


def shirt(canvas: Canvas, design: int) -> None:
    """T-shirt, V-neck, long-sleeved and polo."""
    sleeve = ((0.98, -0.1), (0.76, 0.1)) if design != 2 else ((1.0, 0.62), (0.82, 0.68))
    right = [(0.24, -0.72), (0.56, -0.6), *sleeve, (0.5, -0.12), (0.52, 0.8)]
    canvas.part([*right, *((-x, y) for x, y in reversed(right))], shade="cloth")
    for x in (-1.0, 1.0):
        (a, b), (c, d) = sleeve
        canvas.line([(x * a, b), (x * c, d)], 0.03, darker(canvas.look.colour, 0.8))
    canvas.line([(-0.5, 0.78), (0.5, 0.78)], 0.02, darker(canvas.look.colour, 0.8))
    inside = darker(canvas.look.colour, 0.55)
    if design == 1:
        canvas.part([(-0.24, -0.73), (0.24, -0.73), (0, -0.3)], inside)
        canvas.line([(-0.25, -0.73), (0, -0.3), (0.25, -0.73)], 0.045, canvas.look.accent)
    elif design == 3:
        canvas.part(ellipse(0, -0.72, 0.24, 0.1), inside)
        for x in (-1.0, 1.0):
            canvas.part(
                [(x * 0.26, -0.78), (x * 0.3, -0.6), (x * 0.08, -0.5), (0, -0.64)],
                canvas.look.accent,
            )
        canvas.line([(0, -0.6), (0, -0.25)], 0.03, canvas.look.accent)
        for y in (-0.45, -0.32):
            canvas.part(ellipse(0, y, 0.02, 0.02), CREAM)
    else:
        canvas.part(ellipse(0, -0.74, 0.24, 0.15), inside)
        canvas.line(ellipse(0, -0.74, 0.24, 0.15, start=0, end=180), 0.045, canvas.look.accent)


def vase(canvas: Canvas, design: int) -> None:
    """Bottle, bowl, hourglass and amphora; the second and the fourth with leaves."""
    profile = (
        [(0.16, -0.8), (0.14, -0.35), (0.42, 0.1), (0.46, 0.55), (0.3, 0.85)],
        [(0.4, -0.35), (0.66, 0.1), (0.58, 0.6), (0.34, 0.8)],
        [(0.44, -0.75), (0.24, -0.25), (0.2, 0.05), (0.44, 0.5), (0.42, 0.84)],
        [(0.28, -0.62), (0.2, -0.42), (0.56, -0.1), (0.42, 0.45), (0.24, 0.84)],
    )[design]
    (width, top), (foot, low) = profile[0], profile[-1]
    if design in (1, 3):
        for x, tilt in ((-0.16, -0.42), (0.02, 0.06), (0.18, 0.5)):
            tip = (x + tilt, top - (0.5 if design == 1 else 0.34))
            canvas.line([(x * 0.5, top), tip], 0.025, (92, 122, 78))
            leaf = curve(
                [
                    tip,
                    (tip[0] - 0.1, tip[1] + 0.16),
                    (x * 0.6, top - 0.06),
                    (tip[0] + 0.09, tip[1] + 0.2),
                ]
            )
            canvas.part(leaf, (104, 146, 92), shade="ball")
    if design == 3:
        for x in (-1.0, 1.0):
            canvas.line(
                ellipse(x * 0.36, -0.3, 0.2, 0.24, start=100, end=440), 0.05, canvas.look.accent
            )
    canvas.part(ellipse(0, low, foot, 0.06), darker(canvas.look.colour, 0.7))
    canvas.part(turned(profile), shade="round")
    canvas.part(ellipse(0, top, width, 0.07), canvas.look.accent)
    canvas.part(ellipse(0, top + 0.008, 0.82 * width, 0.05), darker(canvas.look.accent, 0.5))


def chair(canvas: Canvas, design: int) -> None:
    """Round back, slats, armchair and stool."""
    spread = 0.06 if design != 2 else 0.0
    for x, dark in ((-0.36, 0.75), (0.36, 0.75), (-0.5, 1.0), (0.5, 1.0)):
        end = 0.78 if dark < 1 else 0.92
        canvas.line([(x, 0.15), (x * (1 + spread * 3), end)], 0.07, darker(WOOD, dark))
    if design == 0:
        canvas.part(ellipse(0, -0.42, 0.52, 0.46), shade="ball")
    elif design == 1:
        for x in (-0.42, -0.14, 0.14, 0.42):
            canvas.line([(x, 0.1), (x * 1.1, -0.75)], 0.06, WOOD)
        canvas.part(box(-0.58, -0.92, 0.58, -0.66, 0.1))
    elif design == 2:
        canvas.part(box(-0.6, -0.75, 0.6, 0.2, 0.22), shade="cloth")
        for x in (-0.78, 0.5):
            canvas.part(box(x, -0.2, x + 0.28, 0.42, 0.13), darker(canvas.look.colour, 0.85))
    if design == 2:
        canvas.part(box(-0.52, 0.05, 0.52, 0.36, 0.12), shade="cloth")
    else:
        canvas.part(ellipse(0, 0.16, 0.6, 0.16), darker(canvas.look.colour, 0.7))
        canvas.part(ellipse(0, 0.11, 0.6, 0.16), shade="ball")


def clock(canvas: Canvas, design: int) -> None:
    """Round, square, alarm clock and pendulum."""
    if design == 2:
        for x in (-1.0, 1.0):
            canvas.line([(x * 0.4, 0.55), (x * 0.52, 0.85)], 0.09, canvas.look.accent)
            canvas.part(ellipse(x * 0.42, -0.66, 0.26, 0.2), canvas.look.accent, shade="ball")
    if design == 3:
        canvas.line([(0, 0.2), (0, 0.8)], 0.03, STEEL)
        canvas.part(ellipse(0, 0.82, 0.13, 0.13), canvas.look.accent, shade="ball")
    size = (0.8, 0.72, 0.66, 0.56)[design]
    lift = -0.25 if design == 3 else 0.0
    if design in (1, 3):
        canvas.part(box(-size, lift - size, size, lift + size, 0.14), shade="flat")
    else:
        canvas.part(ellipse(0, lift, size, size), shade="ball")
    face = 0.8 * size
    canvas.part(ellipse(0, lift, face, face), CREAM)
    for hour in range(12):
        (x, y), *_ = ellipse(0, lift, 0.86 * face, 0.86 * face, start=30 * hour, end=360)
        canvas.part(ellipse(x, y, 0.035, 0.035), DARK)
    (hx, hy), *_ = ellipse(0, lift, 0.48 * face, 0.48 * face, start=-125)
    (mx, my), *_ = ellipse(0, lift, 0.74 * face, 0.74 * face, start=-38)
    canvas.line([(0, lift), (hx, hy)], 0.06, DARK)
    canvas.line([(0, lift), (mx, my)], 0.04, canvas.look.accent)
    canvas.part(ellipse(0, lift, 0.05, 0.05), DARK)


SHAPES: dict[str, Callable[[Canvas, int], None]] = {
    "mugs": mug,
    "shoes": shoe,
    "bags": bag,
    "lamps": lamp,
    "shirts": shirt,
    "vases": vase,
    "chairs": chair,
    "clocks": clock,
}
DESIGNS = 4
