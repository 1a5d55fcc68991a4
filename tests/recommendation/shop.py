"""A small shop with every oddity: missing fields, numbers as text, copies, products of two images.

And what should be recommended in it, worked out the slow and obvious way.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rows import batch, config, row, unit

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import ImageRow
from cbir.filters import Compare
from cbir.gallery import Gallery
from cbir.recommendation import Rules

CATEGORIES = ("mug", "shoe", "bag")
BRANDS = ("Alder", "Birch")


def products(count: int, *, seed: int = 0, dim: int = 16) -> list[ImageRow]:
    """Images that look like one of six themes; every seventh is a near-copy of the one before."""
    rng = np.random.default_rng(seed)
    rows: list[ImageRow] = []
    for number in range(count):
        vector = unit(number % 6, dim) + 0.7 * unit(1000 + number, dim)
        if number % 7 == 6:
            vector = rows[-1].embedding + 0.02 * unit(2000 + number, dim)
        metadata = {
            "category": CATEGORIES[number % 3],
            "brand": BRANDS[int(rng.integers(2))],
            "product": f"P{number // 2}",
            "margin": float(rng.integers(1, 30)),
            "stock": bool(rng.integers(4)),
            "added": date(2026, 1 + number % 3, 1),
        }
        for field in list(metadata):
            if rng.random() < 0.05:
                del metadata[field]
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        rows.append(row(f"/shop/{number:03}.jpg", vector, metadata=metadata))
    return rows


def open_shop(path: Path, rows: Sequence[ImageRow]) -> Gallery:
    """A gallery of these rows; their ids are 1, 2 and so on."""
    path.mkdir(parents=True, exist_ok=True)
    dim = len(rows[0].embedding) if rows else 16
    catalog = Catalog.create(f"sqlite:///{path / 'catalog.sqlite'}", config(dim=dim))
    catalog.write("/shop", batch(*rows))
    return Gallery(path, catalog)


def expected(gallery: Gallery, item: int, rules: Rules) -> list[int]:
    """Ids by the definition in `Rules`, one image after the other."""
    rows = [(record, known.content_hash) for record, known in gallery.catalog.scan()]
    own, own_hash = next(pair for pair in rows if pair[0].id == item)
    vectors = gallery.catalog.embeddings([record.id for record, _ in rows])
    field = rules.weight or ""
    weights: list[float] = [r.metadata[field] for r, _ in rows if field in r.metadata]

    def alike(a: int, b: int) -> float:
        return float(vectors[a] @ vectors[b])

    def score(image: int) -> float:
        weight: float | None = next(r for r, _ in rows if r.id == image).metadata.get(field)
        if weight is None:
            return alike(item, image)
        below = sum(other < weight for other in weights)
        equal = sum(other == weight for other in weights)
        return alike(item, image) + rules.weight_strength * (below + equal / 2) / len(weights)

    pool: list[int] = []
    seen = {own.metadata.get(rules.group_by)} - {None} if rules.group_by else set()
    for record, content in sorted(rows, key=lambda pair: -alike(item, pair[0].id)):
        similarity = alike(item, record.id)
        values = record.metadata
        copy = similarity > rules.duplicate_similarity or content == own_hash
        product = values.get(rules.group_by) if rules.group_by else None
        if (
            record.id == item
            or (copy and not rules.keep_duplicates)
            or (rules.min_similarity is not None and similarity < rules.min_similarity)
            or any(f not in values or values[f] != own.metadata.get(f) for f in rules.same)
            or any(
                f not in values or f not in own.metadata or values[f] == own.metadata[f]
                for f in rules.different
            )
            or not _matches(values, rules)
            or product in seen
        ):
            continue
        seen |= {product} - {None}
        pool.append(record.id)
    pool = pool[: rules.depth]
    chosen: list[int] = []
    while pool and len(chosen) < rules.k:
        best = max(
            pool,
            key=lambda image: (
                score(image)
                if not chosen
                else (1 - rules.diversity) * score(image)
                - rules.diversity * max(alike(image, other) for other in chosen)
            ),
        )
        pool.remove(best)
        chosen.append(best)
    return chosen


def _matches(values: "dict[str, object] | object", rules: Rules) -> bool:
    """The one kind of filter these tests use: a field that equals a value."""
    if rules.where is None:
        return True
    assert isinstance(rules.where, Compare)
    assert rules.where.operator == "="
    assert isinstance(values, dict)
    return values.get(rules.where.field) == rules.where.value


Vectors = npt.NDArray[np.float32]
