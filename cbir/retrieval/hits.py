"""From candidates to hits: similar enough, not too many of a group, with their records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cbir.types import Hit

if TYPE_CHECKING:
    from cbir.storage.catalog import Catalog
    from cbir.storage.vectors import Ids, Vectors


def similar_enough(
    blocks: Iterable[tuple[Ids, Vectors]], least: float
) -> Iterator[tuple[Ids, Vectors]]:
    """The blocks as far as similarities reach."""
    for ids, similarities in blocks:
        enough = similarities >= least
        yield ids[enough], similarities[enough]
        if not enough.all():
            return


def grouped(
    blocks: Iterable[tuple[Ids, Vectors]], catalog: Catalog, field: str, most: int
) -> Iterator[tuple[Ids, Vectors]]:
    """The blocks with at most so many images of one value in a field, and all without one."""
    groups: Counter[object] = Counter()
    distinct: int | None = None
    for ids, similarities in blocks:
        values = catalog.values(field, ids.tolist())
        kept = []
        for place, image_id in enumerate(ids.tolist()):
            if (value := values.get(image_id)) is not None:
                groups[value] += 1
                if groups[value] > most:
                    continue
            kept.append(place)
        yield ids[kept], similarities[kept]
        if distinct is None:
            distinct = catalog.distinct(field)
        if sum(count >= most for count in groups.values()) == distinct:
            return  # nobody else can be admitted, however deep one looks


def look_up(catalog: Catalog, blocks: Iterable[tuple[Ids, Vectors]], needed: int) -> list[Hit]:
    """The first `needed` candidates with their records, ranked."""
    hits: list[Hit] = []
    for ids, similarities in blocks:
        start = 0
        while start < len(ids) and len(hits) < needed:
            stop = start + needed - len(hits)
            part = ids[start:stop].tolist()
            records = catalog.records(part)
            for image_id, similarity in zip(part, similarities[start:stop].tolist(), strict=True):
                # An image removed since the search is simply not a hit any more.
                if image_id in records:
                    hits.append(Hit(len(hits) + 1, records[image_id], similarity))
            start = stop
        if len(hits) == needed:
            break
    return hits
