"""A gallery with everything that has to survive a journey."""

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from rows import batch, config, row, unit

from cbir.catalog.catalog import Catalog
from cbir.catalog.catalog_image import CatalogImage
from cbir.catalog.rows import ImageRow
from cbir.gallery import Gallery
from cbir.types import ImageVersion

ABROAD = timezone(timedelta(hours=5, minutes=30))

METADATA: list[dict[str, Any]] = [
    {"price": 12.5, "stock": 3, "sold": False, "tags": ["red", "blue"], "day": date(2026, 11, 23)},
    {"price": 12, "stock": 0, "sold": True, "tags": [], "day": date(1969, 7, 20)},
    {"at": datetime(2026, 1, 2, 3, 4, 5, 678), "mixed": 1, "text": "2026-11-23", "é": "ß🎈"},
    {"at": datetime(2026, 1, 2), "mixed": "one", "numbers": [1, 2.5], "both": ["a", 1]},
    {"when": datetime(2026, 1, 2, 3, tzinfo=ABROAD), "mixed": date(2026, 1, 1), "odd": "\udcff"},
    {"huge": 10**400, "exact": 2**60, "id": "a", "embedding": "b", "metadata": "c", "\udcfe": 1},
    {},
]


def images() -> list[ImageRow]:
    """Keys that are URIs and others, a path that is not UTF-8 text, a file without time stamp."""
    return [
        row("/shop/a b.png", unit(0), metadata=METADATA[0]),
        changed(row("/shop/1.png", unit(1), metadata=METADATA[1]), key="sku-1"),
        row("file:///shop/%E9.png", unit(2), metadata=METADATA[2]),
        changed(row("https://host/3.png", unit(3), metadata=METADATA[3]), mtime_ns=None),
        *(row(f"/shop/{n}.png", unit(n), metadata=METADATA[n]) for n in (4, 5, 6)),
    ]


def changed(image: ImageRow, *, key: str = "", mtime_ns: int | None = 1) -> ImageRow:
    from dataclasses import replace

    version = ImageVersion(image.version.size, mtime_ns)
    return replace(image, key=key or image.key, version=version)


def make_gallery(path: Path, *rows: ImageRow, dim: int = 16) -> Gallery:
    """A gallery of these images, the last of which come from another source."""
    path.mkdir()
    catalog = Catalog.create(f"sqlite:///{path / 'catalog.sqlite'}", config(dim=dim))
    half = (len(rows) + 1) // 2
    catalog.write("/shop", batch(*rows[:half]))
    catalog.write("/elsewhere/feed.csv", batch(*rows[half:]))
    return Gallery(path, catalog)


def everything(gallery: Gallery) -> list[CatalogImage]:
    """All that a catalogue keeps of its images, to the bit."""
    with gallery.catalog.snapshot() as snapshot:
        return [image for page in snapshot.catalog_images() for image in page]
