"""Different pictures that look alike when small: documents, packs, signs, screens and tickets.

Every kind is drawn in styles (font, layout, colours, size, paper); all items of one style are
different pictures that share everything but what is written on them, or where a line runs. The
same seed always gives the same files, given the same fonts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Random = np.random.Generator
Colour = tuple[int, int, int]

FONTS = (
    *("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf"),
    *("DejaVuSerif-Italic.ttf", "DejaVuSansCondensed.ttf"),
)
SYLLABLES = (
    *("ba", "con", "de", "er", "fin", "gra", "hol", "in", "ja", "kul", "lo", "ment", "ne", "or"),
    *("pri", "qua", "ri", "ste", "tu", "un", "ver", "wes", "xi", "yo", "za", "tion", "ling", "ker"),
    *("den", "mar", "sal"),
)
FLAVOURS = (
    *("Vanilla", "Lemon", "Cherry", "Cocoa", "Mint", "Apple", "Ginger", "Caramel", "Coffee"),
    *("Orange", "Peach", "Banana", "Almond", "Salted", "Classic", "Honey"),
)


@dataclass(frozen=True)
class Style:
    """What all pictures of one set share."""

    seed: int

    @cached_property
    def rng(self) -> Random:
        return np.random.default_rng(self.seed)

    @cached_property
    def face(self) -> str:
        return "" if self.seed % 3 == 0 else str(self.rng.choice(FONTS))

    @cached_property
    def paper(self) -> Colour:
        base = int(self.rng.integers(225, 256))
        return base, base - int(self.rng.integers(0, 8)), base - int(self.rng.integers(0, 20))

    @cached_property
    def ink(self) -> Colour:
        r, g, b = self.rng.integers(0, 70, 3)
        return int(r), int(g), int(b)

    @cached_property
    def accent(self) -> Colour:
        r, g, b = self.rng.integers(20, 220, 3)
        return int(r), int(g), int(b)

    @cached_property
    def scale(self) -> float:
        """Size of the picture, of the usual one."""
        return float(self.rng.choice([0.6, 0.8, 1.0, 1.3]))

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the scanner's noise."""
        return float(self.rng.choice([0, 0, 1.5, 3, 6]))

    def font(self, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        pixels = max(7, round(size * self.scale))
        try:
            return ImageFont.truetype(self.face, pixels)
        except OSError:
            return ImageFont.load_default(pixels)

    def sheet(self, width: int, height: int, colour: Colour | None = None) -> Sheet:
        size = round(width * self.scale), round(height * self.scale)
        return Sheet(self, Image.new("RGB", size, colour or self.paper))


@dataclass(frozen=True)
class Sheet:
    """A picture that is drawn in the units of its style."""

    style: Style
    image: Image.Image

    @cached_property
    def draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    def text(
        self, x: float, y: float, text: str, size: float = 24, fill: Colour | None = None
    ) -> None:
        s = self.style
        self.draw.text((x * s.scale, y * s.scale), text, fill=fill or s.ink, font=s.font(size))

    def centred(self, x: float, y: float, text: str, size: float, fill: Colour) -> None:
        s = self.style
        place = x * s.scale, y * s.scale
        self.draw.text(place, text, fill=fill, font=s.font(size), anchor="mm")

    def box(
        self, x: float, y: float, w: float, h: float, fill: Colour | None = None,
        outline: Colour | None = None, line: int = 2, radius: float = 0,
    ) -> None:  # fmt: skip
        k = self.style.scale
        box = (x * k, y * k, (x + w) * k, (y + h) * k)
        self.draw.rounded_rectangle(box, radius * k, fill, outline, max(1, round(line * k)))

    def line(self, points: list[tuple[float, float]], fill: Colour, width: float = 3) -> None:
        k = self.style.scale
        self.draw.line([(x * k, y * k) for x, y in points], fill, max(1, round(width * k)))


def word(rng: Random) -> str:
    return "".join(rng.choice(SYLLABLES, int(rng.integers(1, 4))))


def words(rng: Random, count: int) -> str:
    return " ".join(word(rng) for _ in range(count))


def name(rng: Random) -> str:
    return f"{word(rng).title()} {word(rng).title()}"


def date(rng: Random) -> str:
    return f"{rng.integers(1, 29):02}.{rng.integers(1, 13):02}.{rng.integers(1990, 2030)}"


def amount(rng: Random) -> str:
    return f"{rng.uniform(1, 999):.2f}"


def letterhead(sheet: Sheet, rng: Random) -> None:
    """The same for all sheets of a style."""
    if rng.random() < 0.6:
        sheet.box(90, 60, 90, 90, fill=sheet.style.accent, radius=20)
    sheet.text(210, 70, name(rng) + " & Co", 42, sheet.style.accent)
    sheet.text(210, 125, words(rng, 4), 20)


def letter(style: Style, rng: Random) -> Image.Image:
    """A page of text."""
    sheet = style.sheet(1240, 1754)
    same = np.random.default_rng(style.seed + 1)
    lines, pitch = int(same.integers(18, 40)), float(same.uniform(30, 40))
    if same.random() < 0.5:
        letterhead(sheet, same)
    for i in range(lines):
        sheet.text(120, 220 + pitch * i, words(rng, 9)[:80], 22)
    return sheet.image


def note(style: Style, rng: Random) -> Image.Image:
    """A few lines on a page."""
    sheet = style.sheet(1240, 1754)
    same = np.random.default_rng(style.seed + 1)
    if same.random() < 0.6:
        letterhead(sheet, same)
    for i in range(int(same.integers(1, 5))):
        sheet.text(120, 260 + 42 * i, words(rng, 6)[:60], 26)
    return sheet.image


def invoice(style: Style, rng: Random) -> Image.Image:
    """One template; number, date, and amounts differ."""
    sheet = style.sheet(1240, 1754)
    same = np.random.default_rng(style.seed + 1)
    letterhead(sheet, same)
    sheet.text(120, 260, "Invoice", 46)
    sheet.text(760, 260, f"No. {rng.integers(10000, 99999)}", 28)
    sheet.text(760, 310, date(rng), 28)
    few = same.random() < 0.5
    for i in range(int(same.integers(3, 9))):
        sheet.text(120, 450 + 60 * i, words(same, 3), 26)
        sheet.text(980, 450 + 60 * i, amount(same if few else rng), 26)
    sheet.line([(120, 1050), (1120, 1050)], style.ink)
    sheet.text(120, 1080, "Total", 32)
    sheet.text(960, 1080, amount(rng), 32)
    for i in range(3):
        sheet.text(120, 1560 + 30 * i, words(same, 8), 18)
    return sheet.image


def form(style: Style, rng: Random) -> Image.Image:
    """One form, filled in by different people."""
    sheet = style.sheet(1240, 1754)
    same = np.random.default_rng(style.seed + 1)
    labels = [word(same).title() for _ in range(int(same.integers(4, 9)))]
    filled = max(2, round(len(labels) * same.uniform(0.3, 1)))
    for k, label in enumerate(labels):
        sheet.text(110, 200 + 170 * k, label, 26)
        sheet.box(340, 180 + 170 * k, 760, 72, outline=style.ink, line=3)
        if k < filled:
            sheet.text(360, 194 + 170 * k, words(rng, 2), 34, (20, 30, 120))
    return sheet.image


def checklist(style: Style, rng: Random) -> Image.Image:
    """One list of questions; the ticked boxes differ."""
    sheet = style.sheet(1000, 1400)
    same = np.random.default_rng(style.seed + 1)
    for k in range(18):
        y = 90 + 68 * k
        sheet.text(60, y, words(same, 4)[:38], 26)
        for j in range(3):
            x = 720 + 80 * j
            sheet.box(x, y, 34, 34, outline=style.ink)
        x = 720 + 80 * int(rng.integers(3))
        sheet.line([(x + 5, y + 5), (x + 29, y + 29)], style.ink, 4)
        sheet.line([(x + 29, y + 5), (x + 5, y + 29)], style.ink, 4)
    return sheet.image


def receipt(style: Style, rng: Random) -> Image.Image:
    """Receipts of one shop."""
    sheet = style.sheet(420, 900)
    same = np.random.default_rng(style.seed + 1)
    sheet.centred(210, 50, name(same).upper(), 30, style.ink)
    for k in range(int(same.integers(8, 17))):
        sheet.text(30, 110 + 38 * k, word(rng), 20)
        sheet.text(320, 110 + 38 * k, amount(rng), 20)
    sheet.text(30, 820, date(rng), 20)
    return sheet.image


def ticket(style: Style, rng: Random) -> Image.Image:
    """Tickets of one event: seat and bar code differ."""
    sheet = style.sheet(1000, 420)
    same = np.random.default_rng(style.seed + 1)
    sheet.box(0, 0, 1000, 110, fill=style.accent)
    sheet.text(40, 25, name(same), 54, (255, 255, 255))
    sheet.text(40, 140, date(same) + "  20:00", 36)
    seat = f"Row {rng.integers(1, 40)}  Seat {rng.integers(1, 60)}"
    sheet.text(40, 220, seat, 44)
    if same.random() < 0.5:
        bars = rng.integers(0, 2, 70)
        for i, bar in enumerate(bars):
            if bar:
                sheet.box(700 + 3.6 * i, 160, 2.6, 180, fill=(0, 0, 0), line=1)
    sheet.text(700, 350, f"{rng.integers(10**8, 10**9)}", 30)
    return sheet.image


def boarding(style: Style, rng: Random) -> Image.Image:
    """Boarding passes of one flight: name and seat differ."""
    sheet = style.sheet(900, 380, (250, 250, 250))
    same = np.random.default_rng(style.seed + 1)
    sheet.box(0, 0, 900, 70, fill=style.accent)
    sheet.text(30, 14, word(same).upper() + " AIR", 40, (255, 255, 255))
    seat = f"{rng.integers(1, 40)}{'ABCDEF'[int(rng.integers(6))]}"
    for x, label, text in (
        (30, "FROM", word(same).upper()[:3]), (230, "TO", word(same).upper()[:3]),
        (430, "GATE", f"B{same.integers(1, 40)}"), (630, "SEAT", seat),
    ):  # fmt: skip
        sheet.text(x, 110, label, 20, (120, 120, 120))
        sheet.text(x, 140, text, 54)
    sheet.text(30, 260, name(rng).upper(), 34)
    return sheet.image


def pack(style: Style, rng: Random) -> Image.Image:
    """Packs of one brand: flavour and size are printed on them."""
    sheet = style.sheet(700, 900, (255, 255, 255))
    same = np.random.default_rng(style.seed + 1)
    shade = style.accent
    k = style.scale
    sheet.box(110, 60, 480, 780, fill=shade, radius=30)
    if same.random() < 0.6:
        for i in range(round(480 * k)):
            t = i / (480 * k)
            dark = tuple(int(c * (0.75 + 0.25 * np.sin(np.pi * t))) for c in shade)
            x = round(110 * k) + i
            sheet.draw.line((x, 90 * k, x, 810 * k), fill=dark)
    sheet.draw.ellipse((180 * k, 420 * k, 520 * k, 640 * k), fill=(240, 235, 220))
    sheet.centred(350, 180, word(same).upper(), 84, (255, 255, 255))
    flavour = str(rng.choice(FLAVOURS))
    sheet.centred(350, 330, flavour, 56, (255, 240, 200))
    size = str(rng.choice(["100 g", "150 g", "200 g", "250 g", "400 g", "500 g", "750 g", "1 kg"]))
    sheet.centred(350, 740, size, 48, (255, 255, 255))
    return sheet.image


def label(style: Style, rng: Random) -> Image.Image:
    """Bottles with one label, whose small print differs; on white, as in a shop."""
    sheet = style.sheet(500, 900, (255, 255, 255))
    same = np.random.default_rng(style.seed + 1)
    glass = tuple(int(c * 0.5) for c in style.accent)
    sheet.box(150, 240, 200, 600, fill=(glass[0], glass[1], glass[2]), radius=40)
    sheet.box(215, 60, 70, 220, fill=(glass[0], glass[1], glass[2]))
    sheet.box(160, 420, 180, 260, fill=style.paper)
    sheet.centred(250, 460, word(same).title(), 40, style.accent)
    sheet.centred(250, 540, str(rng.integers(1960, 2024)), 44, style.ink)
    sheet.centred(250, 610, f"{rng.integers(90, 150) / 10:.1f} % vol", 22, style.ink)
    return sheet.image


def speed_sign(style: Style, rng: Random) -> Image.Image:
    """Round signs with a number, before a sky."""
    sheet = style.sheet(480, 480, (150 + style.seed % 60, 190, 225))
    same = np.random.default_rng(style.seed + 1)
    k = style.scale
    if same.random() < 0.5:
        sheet.box(0, 330, 480, 150, fill=(90, 110, 60))
        sheet.box(230, 300, 20, 180, fill=(120, 120, 125))
    sheet.draw.ellipse((90 * k, 50 * k, 390 * k, 350 * k), fill=(200, 20, 30))
    sheet.draw.ellipse((125 * k, 85 * k, 355 * k, 315 * k), fill=(250, 250, 250))
    number = int(rng.integers(1, 14)) * 10
    sheet.centred(240, 200, str(number), 110 if number < 100 else 90, (15, 15, 15))
    return sheet.image


def street_sign(style: Style, rng: Random) -> Image.Image:
    """Plates with a name or a number."""
    sheet = style.sheet(640, 300, (170, 168, 160))
    sheet.box(40, 60, 560, 180, fill=(20, 50, 140), outline=(255, 255, 255), line=6, radius=18)
    sheet.centred(320, 150, f"{word(rng).title()} {rng.integers(1, 300)}", 62, (255, 255, 255))
    return sheet.image


def plate(style: Style, rng: Random) -> Image.Image:
    """Licence plates."""
    sheet = style.sheet(520, 120, (250, 250, 248))
    sheet.box(0, 0, 44, 120, fill=(0, 51, 153))
    letters = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVWXYZ"), 3))
    sheet.centred(280, 60, f"{letters} {rng.integers(100, 9999)}", 76, (10, 10, 10))
    return sheet.image


def price_tag(style: Style, rng: Random) -> Image.Image:
    """One tag; the price differs."""
    sheet = style.sheet(600, 400, (250, 220, 40))
    same = np.random.default_rng(style.seed + 1)
    sheet.text(40, 30, words(same, 2).title(), 48)
    sheet.text(40, 330, words(same, 4), 22)
    sheet.centred(330, 210, f"{rng.uniform(0.5, 99):.2f}", 120, (180, 0, 0))
    return sheet.image


def chat(style: Style, rng: Random) -> Image.Image:
    """Messages in one program."""
    sheet = style.sheet(720, 1280, (236, 229, 221))
    sheet.box(0, 0, 720, 110, fill=style.accent)
    sheet.text(90, 35, "Group", 32, (255, 255, 255))
    same = np.random.default_rng(style.seed + 1)
    fixed = same.random() < 0.5
    layout = same if fixed else rng
    y = 140
    while y < 1150:
        count, left = int(layout.integers(1, 4)), bool(layout.integers(2))
        height = 34 * count + 24
        x = 20 if left else 240
        sheet.box(x, y, 460, height, fill=(255, 255, 255) if left else (220, 248, 198), radius=14)
        for k in range(count):
            sheet.text(x + 20, y + 10 + 34 * k, words(rng, 4)[:28], 24)
        y += height + 16
    return sheet.image


def table(style: Style, rng: Random) -> Image.Image:
    """A program's window with a table of numbers."""
    dark = style.seed % 2 == 0
    ground = (30, 32, 36) if dark else (252, 252, 252)
    ink = (220, 220, 220) if dark else (30, 30, 30)
    sheet = style.sheet(1280, 800, ground)
    same = np.random.default_rng(style.seed + 1)
    sheet.box(0, 0, 1280, 48, fill=style.accent)
    sheet.text(20, 10, name(same), 24, (255, 255, 255))
    changing = same.random((14, 5)) < same.choice([0.1, 0.4, 1.0])
    for row in range(14):
        sheet.text(30, 80 + 48 * row, word(same), 22, ink)
        for column in range(5):
            value = amount(rng if changing[row, column] else same)
            sheet.text(330 + 180 * column, 80 + 48 * row, value, 22, ink)
        sheet.line([(20, 116 + 48 * row), (1260, 116 + 48 * row)], (128, 128, 128), 1)
    return sheet.image


def terminal(style: Style, rng: Random) -> Image.Image:
    """Text in a dark window."""
    sheet = style.sheet(1100, 700, (16, 18, 24))
    for row in range(22):
        sheet.text(20, 15 + 30 * row, "$ " + words(rng, 7)[:70], 18, (170, 220, 170))
    return sheet.image


def phone_lock(style: Style, rng: Random) -> Image.Image:
    """A phone's first screen: time and battery differ, over one coloured ground."""
    sheet = style.sheet(600, 1200)
    same = np.random.default_rng(style.seed + 1)
    a, b = same.uniform(0, 255, (2, 3))
    size = sheet.image.size
    t = np.linspace(0, 1, size[1])[:, None, None]
    ground = np.broadcast_to((a * (1 - t) + b * t), (size[1], size[0], 3))
    sheet.image.paste(Image.fromarray(ground.astype(np.uint8)))
    sheet.centred(
        300, 260, f"{rng.integers(0, 24):02}:{rng.integers(0, 60):02}", 130, (255, 255, 255)
    )
    sheet.centred(300, 380, date(same), 36, (255, 255, 255))
    return sheet.image


def slide(style: Style, rng: Random) -> Image.Image:
    """Slides of one talk."""
    sheet = style.sheet(1280, 720, (255, 255, 255))
    sheet.box(0, 640, 1280, 80, fill=style.accent)
    sheet.text(80, 60, words(rng, 3).title(), 56, style.accent)
    same = np.random.default_rng(style.seed + 1)
    for k in range(int(same.integers(2, 6))):
        sheet.text(110, 190 + 80 * k, "•  " + words(rng, 5)[:46], 32)
    return sheet.image


def line_chart(style: Style, rng: Random) -> Image.Image:
    """One pair of axes, other data."""
    sheet = style.sheet(800, 600, (255, 255, 255))
    sheet.line([(80, 40), (80, 540), (760, 540)], (0, 0, 0))
    y = 300 + np.cumsum(rng.normal(0, 30, 60))
    points = [(80 + k * 11.3, float(np.clip(v, 50, 530))) for k, v in enumerate(y)]
    sheet.line(points, style.accent, 4)
    return sheet.image


def bar_chart(style: Style, rng: Random) -> Image.Image:
    sheet = style.sheet(800, 600, (255, 255, 255))
    sheet.line([(80, 40), (80, 540), (760, 540)], (0, 0, 0))
    same = np.random.default_rng(style.seed + 1)
    heights = same.uniform(60, 450, 10)
    heights[rng.integers(10)] = rng.uniform(60, 450)
    heights[rng.integers(10)] = rng.uniform(60, 450)
    for k, height in enumerate(heights):
        sheet.box(100 + 64 * k, 540 - height, 46, height, fill=style.accent)
    return sheet.image


def drawing(style: Style, rng: Random) -> Image.Image:
    """Thin strokes on white."""
    sheet = style.sheet(1000, 1000, (255, 255, 255))
    points = rng.uniform(80, 920, (int(rng.integers(5, 14)), 2))
    sheet.line([(float(x), float(y)) for x, y in points], style.ink, 3)
    return sheet.image


def code(style: Style, rng: Random) -> Image.Image:
    """Square codes."""
    side = 21 + 4 * (style.seed % 4)
    modules = rng.integers(0, 2, (side, side)).astype(np.uint8)
    for y, x in ((0, 0), (0, side - 7), (side - 7, 0)):
        modules[y : y + 7, x : x + 7] = 1
        modules[y + 1 : y + 6, x + 1 : x + 6] = 0
        modules[y + 2 : y + 5, x + 2 : x + 5] = 1
    grey = (1 - np.pad(modules, 4)) * np.uint8(255)
    size = (side + 8) * max(4, round(10 * style.scale))
    return Image.fromarray(grey).resize((size, size), Image.Resampling.NEAREST).convert("RGB")


def bar_code(style: Style, rng: Random) -> Image.Image:
    bars = np.repeat(rng.integers(0, 2, 95), 4)
    grey = np.full((260, 460), 255, np.uint8)
    grey[20:220, 40:420] = np.where(bars, 0, 255)
    image = Image.fromarray(grey).convert("RGB")
    if style.seed % 2:
        ImageDraw.Draw(image).text(
            (120, 225), f"{rng.integers(10**12, 10**13)}", fill=(0, 0, 0), font=style.font(24)
        )
    return image


def board(style: Style, rng: Random) -> Image.Image:
    """Positions on a board, as of chess: the same men on other squares."""
    sheet = style.sheet(640, 640, (240, 217, 181))
    for y in range(8):
        for x in range(8):
            if (x + y) % 2:
                sheet.box(80 * x, 80 * y, 80, 80, fill=(181, 136, 99), line=1)
    same = np.random.default_rng(style.seed + 1)
    squares = same.permutation(64)[:20]
    squares[: int(same.integers(2, 8))] = rng.permutation(64)[:8][:1]
    moved = rng.permutation(64)[:4]
    k = style.scale
    for i, square in enumerate(np.concatenate([squares[4:], moved])):
        y, x = divmod(int(square), 8)
        shade = (20, 20, 20) if i % 2 else (250, 250, 250)
        box = ((80 * x + 18) * k, (80 * y + 18) * k, (80 * x + 62) * k, (80 * y + 62) * k)
        sheet.draw.ellipse(box, fill=shade, outline=(0, 0, 0), width=2)
    return sheet.image


def score(style: Style, rng: Random) -> Image.Image:
    """A page of music."""
    sheet = style.sheet(1000, 1300)
    k = style.scale
    for staff in range(8):
        y = 100 + 150 * staff
        for i in range(5):
            sheet.line([(60, y + 14 * i), (940, y + 14 * i)], style.ink, 2)
        for x in range(120, 920, 50):
            top = y - 7 + 7 * int(rng.integers(0, 9))
            sheet.draw.ellipse(
                ((x - 10) * k, top * k, (x + 10) * k, (top + 14) * k), fill=style.ink
            )
            sheet.line([(x + 9, top + 7), (x + 9, top - 40)], style.ink, 2)
    return sheet.image


def street_map(style: Style, rng: Random) -> Image.Image:
    """One map; the route and the pin differ."""
    sheet = style.sheet(800, 800, (238, 236, 228))
    same = np.random.default_rng(style.seed + 1)
    for _ in range(40):
        x, y, x2, y2 = (float(v) for v in same.uniform(0, 800, 4))
        sheet.line([(x, y), (x2, y2)], (255, 255, 255), float(same.uniform(4, 14)))
    points = rng.uniform(60, 740, (5, 2))
    sheet.line([(float(x), float(y)) for x, y in points], (40, 90, 220), 7)
    return sheet.image


def badge(style: Style, rng: Random) -> Image.Image:
    """Identity cards with one drawn face: name and number differ."""
    sheet = style.sheet(860, 540)
    same = np.random.default_rng(style.seed + 1)
    k = style.scale
    sheet.box(0, 0, 860, 90, fill=style.accent)
    sheet.text(30, 22, name(same).upper(), 40, (255, 255, 255))
    sheet.box(40, 130, 240, 320, fill=(200, 210, 220))
    sheet.draw.ellipse((100 * k, 170 * k, 220 * k, 310 * k), fill=(224, 180, 150))
    sheet.draw.ellipse((70 * k, 320 * k, 250 * k, 560 * k), fill=(70, 80, 110))
    sheet.box(40, 452, 240, 88, fill=style.paper)
    for i, text in enumerate((name(rng), date(rng), f"{rng.integers(10**7, 10**8)}")):
        sheet.text(330, 160 + 90 * i, text, 36)
    return sheet.image


def calendar(style: Style, rng: Random) -> Image.Image:
    """One calendar, another month: the same numbers, shifted."""
    sheet = style.sheet(900, 800, (255, 255, 255))
    start = int(rng.integers(7))
    sheet.text(60, 30, f"{word(rng).title()} {rng.integers(2000, 2030)}", 44, style.accent)
    for day in range(30):
        y, x = divmod(start + day, 7)
        sheet.box(50 + 115 * x, 120 + 110 * y, 110, 105, outline=(190, 190, 190))
        sheet.text(60 + 115 * x, 125 + 110 * y, str(day + 1), 26)
    return sheet.image


def cover(style: Style, rng: Random) -> Image.Image:
    """Volumes of one series of books: number and title differ, over one textured picture."""
    sheet = style.sheet(600, 900)
    same = np.random.default_rng(style.seed + 1)
    size = sheet.image.size
    coarse = same.integers(0, 256, (7, 5, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = same.normal(0, 8, (size[1], size[0], 1))
    sheet.image.paste(Image.fromarray(np.clip(ground + grain, 0, 255).astype(np.uint8)))
    sheet.centred(300, 120, word(same).title(), 80, (255, 255, 255))
    sheet.centred(300, 450, words(rng, 2).title(), 40, (255, 255, 255))
    sheet.centred(300, 780, f"Volume {rng.integers(1, 99)}", 48, (255, 255, 255))
    return sheet.image


Draw = Callable[[Style, Random], Image.Image]

DOCUMENTS: dict[str, Draw] = {
    "letter": letter, "note": note, "invoice": invoice, "form": form, "checklist": checklist,
    "receipt": receipt, "score": score, "calendar": calendar, "drawing": drawing,
    "line chart": line_chart, "bar chart": bar_chart,
}  # fmt: skip
PACKS: dict[str, Draw] = {
    "pack": pack, "label": label, "price tag": price_tag, "cover": cover,
}  # fmt: skip
SIGNS: dict[str, Draw] = {
    "speed sign": speed_sign, "street sign": street_sign, "plate": plate, "code": code,
    "bar code": bar_code, "map": street_map, "board": board,
}  # fmt: skip
SCREENS: dict[str, Draw] = {
    "chat": chat, "table": table, "terminal": terminal, "lock screen": phone_lock, "slide": slide,
}  # fmt: skip
TICKETS: dict[str, Draw] = {
    "ticket": ticket, "boarding pass": boarding, "identity card": badge,
}  # fmt: skip
SETS = {
    "documents": DOCUMENTS, "packs": PACKS, "signs": SIGNS, "screens": SCREENS, "tickets": TICKETS,
}  # fmt: skip


def lookalikes(kind: str, style: int, count: int) -> list[Image.Image]:
    """`count` different pictures of one kind in one style; none is equal to another."""
    draw = next(kinds[kind] for kinds in SETS.values() if kind in kinds)
    look = Style(zlib.crc32(f"{kind} {style}".encode()))
    pictures: dict[bytes, Image.Image] = {}
    for item in range(20 * count):
        rng = np.random.default_rng(zlib.crc32(f"{kind} {style} {item}".encode()))
        image = draw(look, rng)
        pictures.setdefault(image.tobytes(), image)
        if len(pictures) == count:
            break
    return [scanned(image, look.noise, i) for i, image in enumerate(pictures.values())]


def scanned(image: Image.Image, noise: float, seed: int) -> Image.Image:
    """With a scanner's noise, other for each picture."""
    if not noise:
        return image
    rng = np.random.default_rng(seed)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
    grain = rng.normal(0, noise, (*soft.shape[:2], 1))
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 40": lambda image: image,
    "resize 0.5": lambda image: image.resize((image.width // 2, image.height // 2)),
    "darker": lambda image: image.point([round(v * 0.85) for v in range(256)] * 3),
}
"""Copies by which recall is measured."""


def write_lookalikes(
    folder: Path, kinds: Iterable[str], styles: range, count: int, *, copies: bool = True
) -> dict[str, list[tuple[str, Path]]]:
    """Write `count` pictures of each kind in each style, and copies of each.

    By picture, (alteration, file), the original first; JPEG and PNG by turns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[tuple[str, Path]]] = {}
    for kind in kinds:
        for style in styles:
            for number, image in enumerate(lookalikes(kind, style, count)):
                name = f"{kind.replace(' ', '-')}-{style:03}-{number:02}"
                if style % 2:
                    file = folder / f"{name}.jpg"
                    image.save(file, quality=70 + 5 * (style % 6))
                else:
                    file = folder / f"{name}.png"
                    image.save(file, compress_level=1)
                groups[name] = [("original", file)]
                for alteration, alter in COPIES.items() if copies else ():
                    copy = folder / f"{name}-{alteration.replace(' ', '-')}.jpg"
                    alter(image).save(copy, quality=40 if alteration == "jpeg 40" else 85)
                    groups[name].append((alteration, copy))
    return groups
