"""Reads and writes data attached to images: descriptors, regions, remarks, dismissed pairs.

All of it is deleted when the image is removed or its content changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select, delete, func, insert, select, tuple_

from cbir.arrays import Vectors
from cbir.catalog.engine import insert_rows, parts
from cbir.catalog.gallery_state import next_generation
from cbir.catalog.rows import RegionRow
from cbir.catalog.schema import descriptors, dismissals, images, regions, remarks
from cbir.catalog.vectors import decode, encode
from cbir.types import DescriptorRow, Remark, RemarkedImage, RemarkKind

Pair: TypeAlias = tuple[int, int]
"""Ids of two images, the smaller one first."""

_PAIR = dismissals.c.first_id, dismissals.c.second_id


def delete_attachments(connection: Connection, ids: Sequence[int]) -> None:
    """Delete all data attached to these images; at most ROWS_PER_STATEMENT ids."""
    for table in (descriptors, regions, remarks):
        connection.execute(delete(table).where(table.c.image_id.in_(ids)))
    for column in _PAIR:
        connection.execute(delete(dismissals).where(column.in_(ids)))


def read_descriptors(connection: Connection, ids: Sequence[int], method: str) -> dict[int, bytes]:
    """The encoded descriptors of these images, by id; images without are absent."""
    query = select(descriptors.c.image_id, descriptors.c.data).where(descriptors.c.method == method)
    return {
        row.image_id: row.data
        for part in parts(ids)
        for row in connection.execute(query.where(descriptors.c.image_id.in_(part)))
    }


def count_descriptors(connection: Connection) -> dict[str, int]:
    """Number of images with descriptors, by method."""
    query = select(descriptors.c.method, func.count()).group_by(descriptors.c.method)
    rows = connection.execute(query.order_by(descriptors.c.method))
    return {method: int(count) for method, count in rows}


def without_descriptors(connection: Connection, method: str) -> list[int]:
    """Ids of the images that have no descriptors by `method`, ascending."""
    by_method = (descriptors.c.image_id == images.c.id) & (descriptors.c.method == method)
    missing = select(images.c.id).outerjoin(descriptors, by_method)
    missing = missing.where(descriptors.c.image_id.is_(None)).order_by(images.c.id)
    return list(connection.execute(missing).scalars())


def write_descriptors(connection: Connection, method: str, rows: Sequence[DescriptorRow]) -> None:
    """Replace descriptors, except those of images that were removed or whose content changed."""
    for part in parts(rows):
        ids = [row.image_id for row in part]
        content = select(images.c.id, images.c.content_hash).where(images.c.id.in_(ids))
        current = {row.id: row.content_hash for row in connection.execute(content)}
        fitting = [row for row in part if current.get(row.image_id) == row.content_hash]
        if fitting:
            old = descriptors.c.image_id.in_([row.image_id for row in fitting])
            connection.execute(delete(descriptors).where(old, descriptors.c.method == method))
            connection.execute(
                insert(descriptors),
                [{"image_id": r.image_id, "method": method, "data": r.data} for r in fitting],
            )


def read_regions(connection: Connection, image_id: int, dim: int) -> Vectors:
    """The embeddings of one image's regions, in their order: (R, D)."""
    query = select(regions.c.vector).where(regions.c.image_id == image_id)
    blobs = connection.execute(query.order_by(regions.c.region)).scalars().all()
    return decode(list(blobs), dim)


def without_regions(connection: Connection) -> list[int]:
    """Ids of the images without embedded regions, ascending."""
    first = (regions.c.image_id == images.c.id) & (regions.c.region == 1)
    missing = select(images.c.id).outerjoin(regions, first)
    missing = missing.where(regions.c.image_id.is_(None)).order_by(images.c.id)
    return list(connection.execute(missing).scalars())


def write_regions(connection: Connection, rows: Sequence[RegionRow]) -> None:
    """Insert the regions of images that have none and whose content is unchanged."""
    generation = 0
    for part in parts(rows):
        bare = (
            select(images.c.id, images.c.content_hash)
            .outerjoin(regions, regions.c.image_id == images.c.id)
            .where(images.c.id.in_([row.image_id for row in part]), regions.c.region.is_(None))
        )
        current = {row.id: row.content_hash for row in connection.execute(bare)}
        fitting = [row for row in part if current.get(row.image_id) == row.content_hash]
        if fitting:
            if not generation:
                generation, _ = next_generation(connection)
            vectors = [(row.image_id, row.vectors) for row in fitting]
            insert_regions(connection, generation, vectors)


def insert_regions(
    connection: Connection, generation: int, rows: Iterable[tuple[int, Vectors | None]]
) -> None:
    """Insert regions: ids of images with (R, D) vectors, None for an image without any."""
    insert_rows(
        connection,
        regions,
        [
            (image_id, region, generation, vector)
            for image_id, vectors in rows
            if vectors is not None
            for region, vector in enumerate(encode(vectors), 1)
        ],
    )


def insert_remarks(connection: Connection, rows: Iterable[tuple[int, tuple[Remark, ...]]]) -> None:
    """Insert the remarks on images, by id."""
    values = [
        {"image_id": image_id, "kind": remark.kind, "text": remark.text}
        for image_id, its in rows
        for remark in its
    ]
    if values:
        connection.execute(insert(remarks), values)


def read_remarks(connection: Connection) -> list[RemarkedImage]:
    """All remarks, in the order of ids."""
    query = select(remarks, images.c.key, images.c.uri).join(images)
    return [
        RemarkedImage(row.uri or row.key, row.kind, row.text, row.image_id, row.key)
        for row in connection.execute(query.order_by(remarks.c.image_id, remarks.c.kind))
    ]


def count_remarks(connection: Connection) -> dict[RemarkKind, int]:
    """Number of images with remarks, by kind."""
    query = select(remarks.c.kind, func.count()).group_by(remarks.c.kind).order_by(remarks.c.kind)
    return {row.kind: int(row[1]) for row in connection.execute(query)}


def ids_with_remark(connection: Connection, kind: RemarkKind) -> list[int]:
    """The ids of the images with a remark of this kind, ascending."""
    query = select(remarks.c.image_id).where(remarks.c.kind == kind)
    return list(connection.execute(query.order_by(remarks.c.image_id)).scalars())


def read_dismissals(connection: Connection) -> list[Pair]:
    """Every pair of images that was marked as not duplicates, in the order of ids."""
    return _pairs(connection, select(*_PAIR).order_by(*_PAIR))


def write_dismissals(connection: Connection, pairs: Sequence[Pair]) -> int:
    """Insert dismissed pairs, except those of removed images. Returns the number inserted."""
    added = 0
    for part in parts(pairs):
        present = _present(connection, {image_id for pair in part for image_id in pair})
        existing = set(_pairs(connection, select(*_PAIR).where(tuple_(*_PAIR).in_(list(part)))))
        new = [
            {"first_id": a, "second_id": b}
            for a, b in dict.fromkeys(part)
            if (a, b) not in existing and {a, b} <= present
        ]
        if new:
            connection.execute(insert(dismissals), new)
        added += len(new)
    return added


def delete_dismissals(connection: Connection, pairs: Sequence[Pair]) -> int:
    """Delete dismissed pairs. Returns their number."""
    return sum(
        connection.execute(delete(dismissals).where(tuple_(*_PAIR).in_(list(part)))).rowcount
        for part in parts(pairs)
    )


def _present(connection: Connection, ids: Iterable[int]) -> set[int]:
    present: set[int] = set()
    for part in parts(sorted(ids)):
        query = select(images.c.id).where(images.c.id.in_(part))
        present.update(connection.execute(query).scalars())
    return present


def _pairs(connection: Connection, query: Select[Any]) -> list[Pair]:
    return [(row.first_id, row.second_id) for row in connection.execute(query)]
