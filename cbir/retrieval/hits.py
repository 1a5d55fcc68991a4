"""From candidates to hits: similar enough, not too many of a group, with their records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cbir.types import Hit

if TYPE_CHECKING:
    from cbir.catalog.catalog import Catalog
    from cbir.retrieval.candidates import Block


def similar_enough(blocks: Iterable[Block], least: float) -> Iterator[Block]:
    """The blocks as far as similarities reach."""
    for block in blocks:
        enough = block.similarities >= least
        yield block.take(enough)
        if not enough.all():
            return


def grouped(blocks: Iterable[Block], catalog: Catalog, field: str, most: int) -> Iterator[Block]:
    """The blocks with at most so many images of one value in a field, and all without one."""
    groups: Counter[object] = Counter()
    distinct: int | None = None
    for block in blocks:
        values = catalog.values(field, block.ids.tolist())
        kept = []
        for place, image_id in enumerate(block.ids.tolist()):
            if (value := values.get(image_id)) is not None:
                groups[value] += 1
                if groups[value] > most:
                    continue
            kept.append(place)
        yield block.take(kept)
        if distinct is None:
            distinct = catalog.distinct(field)
        if sum(count >= most for count in groups.values()) == distinct:
            return  # nobody else can be admitted, however deep one looks


def look_up(catalog: Catalog, blocks: Iterable[Block], needed: int) -> list[Hit]:
    """The first `needed` candidates with their records, ranked."""
    hits: list[Hit] = []
    for block in blocks:
        start = 0
        while start < len(block.ids) and len(hits) < needed:
            stop = start + needed - len(hits)
            part = slice(start, stop)
            records = catalog.records(block.ids[part].tolist())
            layout = catalog.config.regions if block.regions[part].any() else ()
            columns = block.ids, block.similarities, block.regions
            for image_id, similarity, number in zip(
                *(column[part].tolist() for column in columns), strict=True
            ):
                # An image removed since the search is simply not a hit any more.
                if image_id in records:
                    record = records[image_id]
                    region = layout[number - 1] if number else None
                    hits.append(Hit(len(hits) + 1, record, similarity, region=region))
            start = stop
        if len(hits) == needed:
            break
    return hits
