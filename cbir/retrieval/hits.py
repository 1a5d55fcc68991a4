"""From candidates to hits: similar enough, not too many of a group, with their records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cbir.types import Hit, ImageRecord

if TYPE_CHECKING:
    from cbir.storage.catalog import Catalog
    from cbir.storage.vectors import Ids, Vectors

LOOKED_UP_AT_ONCE = 500
"""Records read together where hits are grouped, and nobody knows how many it will take."""


def similar_enough(
    blocks: Iterable[tuple[Ids, Vectors]], least: float
) -> Iterator[tuple[Ids, Vectors]]:
    """The blocks as far as similarities reach."""
    for ids, similarities in blocks:
        enough = similarities >= least
        yield ids[enough], similarities[enough]
        if not enough.all():
            return


def look_up(
    catalog: Catalog,
    blocks: Iterable[tuple[Ids, Vectors]],
    needed: int,
    *,
    group_by: str | None = None,
    max_per_group: int = 1,
) -> list[Hit]:
    """The first `needed` candidates with their records, ranked; at most so many of a group."""
    hits: list[Hit] = []
    groups: Counter[str] = Counter()
    for ids, similarities in blocks:
        start = 0
        while start < len(ids) and len(hits) < needed:
            size = needed - len(hits) if group_by is None else LOOKED_UP_AT_ONCE
            part = ids[start : start + size].tolist()
            records = catalog.records(part)
            for image_id, similarity in zip(
                part, similarities[start : start + size].tolist(), strict=True
            ):
                # An image removed since the search is simply not a hit any more.
                if (record := records.get(image_id)) is None:
                    continue
                if (group := _group(record, group_by)) is not None:
                    groups[group] += 1
                    if groups[group] > max_per_group:
                        continue
                hits.append(Hit(len(hits) + 1, record, similarity))
            start += size
        if len(hits) >= needed:
            break
    return hits[:needed]


def _group(record: ImageRecord, field: str | None) -> str | None:
    """The value by which an image is grouped, numbers as they compare; None for none."""
    if field is None or (value := record.metadata.get(field)) is None:
        return None
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value)
