"""Turns candidates into hits: applies the least similarity and groups, and reads records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cbir.types import Hit

if TYPE_CHECKING:
    from cbir.catalog.catalog import Catalog
    from cbir.retrieval.candidates import Block
    from cbir.retrieval.confidence import Scale


def similar_enough(blocks: Iterable[Block], least: float) -> Iterator[Block]:
    """The candidates of at least this similarity; stops at the first below it."""
    for block in blocks:
        enough = block.similarities >= least
        yield block.take(enough)
        if not enough.all():
            return


def not_blank(blocks: Iterable[Block], blank: Container[int]) -> Iterator[Block]:
    """The candidates that show something."""
    for block in blocks:
        shown = [place for place, i in enumerate(block.ids.tolist()) if i not in blank]
        yield block if len(shown) == len(block.ids) else block.take(shown)


def grouped(blocks: Iterable[Block], catalog: Catalog, field: str, most: int) -> Iterator[Block]:
    """At most `most` candidates of each value of a metadata field, and all without a value."""
    groups: Counter[object] = Counter()
    distinct: int | None = None
    for block in blocks:
        values = catalog.values(field, block.ids.tolist())
        places = []
        for place, image_id in enumerate(block.ids.tolist()):
            if (value := values.get(image_id)) is not None:
                groups[value] += 1
                if groups[value] > most:
                    continue
            places.append(place)
        yield block.take(places)
        if distinct is None:
            distinct = catalog.distinct(field)
        if sum(count >= most for count in groups.values()) == distinct:
            return  # every group is full, and every image has one


@dataclass(frozen=True, slots=True)
class FoundHits:
    """The hits of a search, and the highest similarity, also of those skipped."""

    hits: tuple[Hit, ...]
    """By rank, without the ranks that were skipped."""
    best: float | None
    """The highest similarity, also among those skipped; None where there is none of meaning."""

    def with_confidence(self, scale: Scale, blank: Container[int]) -> tuple[Hit, ...]:
        """The hits with the confidence of their similarity; none in the images that are `blank`."""
        return tuple(
            replace(
                hit,
                confidence=scale.none
                if hit.image.id in blank
                else scale.confidence(hit.similarity),
            )
            for hit in self.hits
        )


def look_up(
    catalog: Catalog,
    blocks: Iterable[Block],
    needed: int,
    *,
    skip: range = range(0),
    blank: Container[int] = (),
) -> FoundHits:
    """The first `needed` candidates with their records; no record is read for the ranks in `skip`.

    A candidate that has left the catalogue since the search does not count, and the similarity of
    a `blank` image is not the best.
    """
    skip = skip or range(needed, needed)
    hits: list[Hit] = []
    best: float | None = None
    rank = 0
    for block in blocks:
        start = 0
        while start < len(block.ids) and rank < needed:
            skipped = rank in skip
            end = skip.stop if skipped else skip.start if rank < skip.start else needed
            part = block.take(slice(start, start + end - rank))
            start += len(part.ids)
            ids = part.ids.tolist()
            records = {} if skipped else catalog.records(ids)
            present = catalog.present(ids) if skipped else records.keys()
            layout = catalog.config.regions if part.regions.any() and not skipped else ()
            for image_id, similarity, number in zip(
                ids, part.similarities.tolist(), part.regions.tolist(), strict=True
            ):
                if image_id not in present:
                    continue
                rank += 1
                if image_id not in blank:
                    best = similarity if best is None else max(best, similarity)
                if not skipped:
                    region = layout[number - 1] if number else None
                    hits.append(Hit(rank, records[image_id], similarity, region=region))
        if rank == needed:
            break
    return FoundHits(tuple(hits), best)
