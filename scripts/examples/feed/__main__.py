"""A feed of drawn products, as CSV and as JSON Lines, with everything a shop's feed has.

Products of one category and design look alike; colour, pattern and brand tell them apart. One in
four has a second picture, one in ten is listed twice under another number (a near-copy of its
picture), one in forty with the very same file. Always the same files for the same numbers.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.examples.feed.canvas import BACKGROUNDS, PATTERNS, Canvas, Colour, Look, View
from scripts.examples.feed.shapes import CREAM, DARK, DESIGNS, SHAPES, STEEL, WOOD, darker

PRODUCTS = 240
COLOURS: dict[str, Colour] = {
    "red": (196, 52, 48),
    "coral": (236, 128, 104),
    "mustard": (222, 172, 60),
    "green": (86, 140, 92),
    "teal": (40, 138, 140),
    "sky": (128, 178, 216),
    "navy": (44, 62, 112),
    "plum": (124, 66, 112),
    "charcoal": (74, 76, 84),
    "sand": (216, 196, 164),
}
ACCENTS: tuple[Colour, ...] = (CREAM, WOOD, STEEL, DARK)
BRANDS = ("Alder & Co", "Birkdal", "Calluna", "Dovre", "Elmwood", "Fjordlys")
NAMES = ("Aske", "Brim", "Coll", "Dunn", "Esk", "Farne", "Garth", "Holm")
PRICES = {
    "mugs": 14, "shoes": 79, "bags": 64, "lamps": 89,
    "shirts": 29, "vases": 34, "chairs": 129, "clocks": 45,
}  # fmt: skip
DESIGN_TAGS = {
    "mugs": ("kitchen", "gift"), "shoes": ("clothing", "outdoor"), "bags": ("clothing", "travel"),
    "lamps": ("living room", "light"), "shirts": ("clothing", "cotton"),
    "vases": ("living room", "gift"), "chairs": ("living room", "wood"),
    "clocks": ("living room", "gift"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of the feed, and how its picture is drawn."""

    row: dict[str, Any]
    category: str
    design: int
    look: Look
    view: View
    copy: str = ""
    """`near`: cropped a little, smaller and compressed more."""


def main() -> None:
    folder = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else PRODUCTS
    listings = [listing for number in range(count) for listing in listings_of(number)]
    for category in SHAPES:
        (folder / "images" / category).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        pictures = pool.map(draw, listings, chunksize=8)
        for listing, encoded in zip(listings, pictures, strict=True):
            (folder / listing.row["path"]).write_bytes(encoded)
    rows = [listing.row for listing in listings]
    with (folder / "feed.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # Written last: where it is, everything is.
    with (folder / "feed.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    print(f"{count} products, {len(rows)} pictures: {folder / 'feed.csv'}")
    print(f"next: cbir index {folder / 'feed.csv'} --gallery index_data/shop")


def cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def listings_of(number: int) -> Iterator[Listing]:
    """Everything the feed says of one product: one line, or several."""
    rng = np.random.default_rng([7, number])
    category = list(SHAPES)[number % len(SHAPES)]
    design = int(rng.integers(DESIGNS))
    colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    pattern = str(rng.choice(list(PATTERNS), p=(0.4, 0.2, 0.14, 0.13, 0.13)))
    look = Look(
        COLOURS[colour],
        CREAM if pattern != "checked" else darker(COLOURS[colour], 0.55),
        ACCENTS[int(rng.integers(len(ACCENTS)))],
        pattern,
    )
    # Every design comes from two makers.
    brand = BRANDS[(3 * list(SHAPES).index(category) + design + 2 * int(rng.integers(2))) % 6]
    price = round(PRICES[category] * float(rng.lognormal(0, 0.25))) - 0.1
    sku = f"{category[:3].upper()}-{number:04}"
    name = f"{NAMES[design + 4 * (number % 2)]} {category[:-1]}, {colour}"
    row = {
        "sku": sku,
        "path": f"images/{category}/{sku}.jpg",
        "product": sku,
        "name": name if pattern == "plain" else f"{name}, {pattern}",
        "category": category,
        "brand": brand,
        "colour": colour,
        "price": round(price, 2),
        "margin": round(float(rng.uniform(4, 45)), 1),
        "stock": bool(rng.random() < 0.85),
        "added": (date(2025, 1, 1) + timedelta(days=int(rng.integers(690)))).isoformat(),
        "tags": [pattern, *DESIGN_TAGS[category], *(["new"] if rng.random() < 0.2 else [])],
    }
    first = Listing(row, category, design, look, _view(rng, still=True))
    yield first
    turn = number + number // len(SHAPES)  # so that every category has some of each
    if turn % 4 == 1:
        yield Listing(_renamed(row, "b"), category, design, look, _view(rng))
    if turn % 10 == 3:
        yield Listing(_renamed(row, "x", product=True), category, design, look, first.view, "near")
    if turn % 40 == 7:
        yield Listing(_renamed(row, "y", product=True), category, design, look, first.view)


def _renamed(row: dict[str, Any], suffix: str, *, product: bool = False) -> dict[str, Any]:
    sku = f"{row['sku']}-{suffix}"
    path = row["path"].replace(row["sku"], sku)
    return row | {"sku": sku, "path": path} | ({"product": sku} if product else {})


def _view(rng: np.random.Generator, *, still: bool = False) -> View:
    """How a photographer happened to place it; `still`: as for a catalogue's first picture."""
    turn = 3 if still else 12
    return View(
        scale=float(rng.uniform(0.72, 0.84) if still else rng.uniform(0.6, 0.9)),
        degrees=float(rng.uniform(-turn, turn)),
        shift=(float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.04, 0.05))),
        mirrored=bool(not still and rng.random() < 0.5),
        background=int(rng.integers(len(BACKGROUNDS))),
    )


def draw(listing: Listing) -> bytes:
    """The picture of a listing as JPEG."""
    canvas = Canvas(listing.view, listing.look)
    SHAPES[listing.category](canvas, listing.design)
    picture, quality = canvas.finish(), 88
    if listing.copy == "near":
        side = picture.width
        picture = picture.crop((8, 6, side - 6, side - 8))
        picture, quality = picture.resize((300, 300), Image.Resampling.LANCZOS), 60
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()


if __name__ == "__main__":
    main()
