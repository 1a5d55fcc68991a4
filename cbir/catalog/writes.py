"""Writes images, their metadata and failures within the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cbir.catalog.attachments import delete_attachments, insert_regions, insert_remarks
from cbir.catalog.engine import insert_rows, parts
from cbir.catalog.gallery_state import next_generation
from cbir.catalog.metadata.values import delete_values, insert_values, replace_values, utf8
from cbir.catalog.rows import FailureRow, ImageRow, TouchedRow
from cbir.catalog.schema import (
    embeddings,
    failures,
    images,
    sources,
    tombstones,
)
from cbir.catalog.vectors import encode
from cbir.metadata import as_json, plain


def source_id(connection: Connection, uri: str) -> int:
    """The id of a source, which is inserted if it is new."""
    existing = connection.execute(select(sources.c.id).where(sources.c.uri == uri)).scalar()
    if existing is not None:
        return int(existing)
    inserted = connection.execute(insert(sources).values(uri=uri)).inserted_primary_key
    assert inserted is not None
    return int(inserted[0])


def write_images(connection: Connection, source: int, rows: Sequence[ImageRow]) -> None:
    """Insert images, or replace those with the same key; deletes their failures."""
    if not rows:
        return
    new = sum(row.id is None for row in rows)
    generation, next_id = next_generation(connection, new_images=new)
    vectors = encode(np.stack([row.embedding for row in rows]))
    try:
        # Usually all images are new, and looking them up first would double the cost.
        with connection.begin_nested():
            _insert(connection, source, generation, next_id, rows, vectors)
    except IntegrityError:
        existing = _ids(connection, [row.key for row in rows])
        fresh = [i for i, row in enumerate(rows) if row.key not in existing]
        stale = [i for i, row in enumerate(rows) if row.key in existing]
        _insert(
            connection,
            source,
            generation,
            next_id,
            [rows[i] for i in fresh],
            [vectors[i] for i in fresh],
        )
        _replace(
            connection,
            source,
            generation,
            [existing[rows[i].key] for i in stale],
            [rows[i] for i in stale],
            [vectors[i] for i in stale],
        )
    remove_failures(connection, [row.key for row in rows])


def write_touched(connection: Connection, source: int, rows: Sequence[TouchedRow]) -> None:
    """Update versions, names and metadata; the embeddings stay."""
    if not rows:
        return
    connection.execute(
        update(images).where(images.c.id == bindparam("the_id")),
        [
            {
                "the_id": row.id,
                **_place(row),
                "source_id": source,
                "size": row.version.size,
                "mtime_ns": row.version.stamp,
                "etag": row.version.etag,
                "metadata": plain(row.metadata),
            }
            for row in rows
        ],
    )
    for part in parts(rows):
        delete_values(connection, [row.id for row in part])
    insert_values(connection, [(row.id, row.metadata) for row in rows])
    remove_failures(connection, [row.key for row in rows])


def change_metadata(connection: Connection, image_id: int, changes: Mapping[str, Any]) -> bool:
    """Change fields of an image's metadata; None deletes one. False if there is no such image.

    Only these fields' rows are rewritten: the others' types cannot be read from JSON, where a date
    is a text.
    """
    row = connection.execute(select(images.c.metadata).where(images.c.id == image_id)).first()
    if row is None:
        return False
    changed = plain({**row.metadata, **changes})
    connection.execute(update(images).where(images.c.id == image_id).values(metadata=changed))
    replace_values(connection, image_id, changes)
    return True


def write_moved(connection: Connection, source: int, rows: Sequence[TouchedRow]) -> None:
    """Give images other keys. Removes an image that has a wanted key and does not move itself."""
    if not rows:
        return
    moving = {row.id for row in rows}
    holders = _ids(connection, [row.key for row in rows]).values()
    remove_images(connection, [i for i in holders if i not in moving])
    vacating = [i for i in holders if i in moving]
    if vacating:  # a ↔ b: keys are unique at every moment, so both wait under another one
        token = uuid.uuid4().hex
        connection.execute(
            update(images).where(images.c.id == bindparam("the_id")),
            [{"the_id": i, "key": f"moving:{token}:{i}"} for i in vacating],
        )
    write_touched(connection, source, rows)


def write_failures(connection: Connection, source: int, rows: Sequence[FailureRow]) -> None:
    """Insert failures, replacing earlier ones with the same key."""
    if not rows:
        return
    remove_failures(connection, [row.key for row in rows])
    connection.execute(
        insert(failures),
        [
            {
                "key": row.key,
                "uri": None if row.uri == row.key else row.uri,
                "source_id": source,
                "reason": utf8(row.reason),
                "size": row.version and row.version.size,
                "mtime_ns": row.version and row.version.stamp,
                "etag": row.version and row.version.etag,
            }
            for row in rows
        ],
    )


def remove_failures(connection: Connection, keys: Sequence[str]) -> int:
    """Delete the failures with these keys. Returns how many were deleted."""
    if connection.execute(select(failures.c.key).limit(1)).first() is None:
        return 0
    return sum(
        connection.execute(delete(failures).where(failures.c.key.in_(part))).rowcount
        for part in parts(keys)
    )


def remove_images(connection: Connection, ids: Sequence[int], *, source: int | None = None) -> int:
    """Delete images and leave tombstones for the vector indexes. Returns how many were deleted."""
    generation = None
    removed = 0
    for part in parts(ids):
        query = select(images.c.id).where(images.c.id.in_(part))
        if source is not None:
            query = query.where(images.c.source_id == source)
        present = connection.execute(query).scalars().all()
        if not present:
            continue
        if generation is None:
            generation, _ = next_generation(connection)
        delete_attachments(connection, present)
        delete_values(connection, present)
        connection.execute(delete(embeddings).where(embeddings.c.image_id.in_(present)))
        connection.execute(delete(images).where(images.c.id.in_(present)))
        rows = [{"image_id": i, "generation": generation} for i in present]
        connection.execute(insert(tombstones), rows)
        removed += len(present)
    return removed


def _insert(
    connection: Connection,
    source: int,
    generation: int,
    first_id: int,
    rows: Sequence[ImageRow],
    vectors: Sequence[bytes],
) -> None:
    if not rows:
        return
    given = [row.id for row in rows if row.id is not None]
    ids = given or range(first_id, first_id + len(rows))
    insert_rows(
        connection,
        images,
        [
            (
                i,
                row.key,
                None if row.uri == row.key else row.uri,
                row.name,
                source,
                row.version.size,
                row.version.stamp,
                row.version.etag,
                row.content_hash,
                int(row.width),
                int(row.height),
                as_json(row.metadata),
            )
            for i, row in zip(ids, rows, strict=True)
        ],
    )
    insert_values(connection, [(i, row.metadata) for i, row in zip(ids, rows, strict=True)])
    insert_rows(
        connection,
        embeddings,
        [(i, generation, vector) for i, vector in zip(ids, vectors, strict=True)],
    )
    insert_regions(connection, generation, zip(ids, (row.regions for row in rows), strict=True))
    insert_remarks(connection, zip(ids, (row.remarks for row in rows), strict=True))


def _replace(
    connection: Connection,
    source: int,
    generation: int,
    ids: Sequence[int],
    rows: Sequence[ImageRow],
    vectors: Sequence[bytes],
) -> None:
    if not rows:
        return
    for part in parts(ids):  # what was made from the old content
        delete_attachments(connection, part)
        delete_values(connection, part)
    connection.execute(
        update(images).where(images.c.id == bindparam("the_id")),
        [{"the_id": i, **_image(source, row)} for i, row in zip(ids, rows, strict=True)],
    )
    insert_values(connection, [(i, row.metadata) for i, row in zip(ids, rows, strict=True)])
    connection.execute(
        update(embeddings).where(embeddings.c.image_id == bindparam("the_id")),
        [
            {"the_id": i, "generation": generation, "vector": vector}
            for i, vector in zip(ids, vectors, strict=True)
        ],
    )
    insert_regions(connection, generation, zip(ids, (row.regions for row in rows), strict=True))
    insert_remarks(connection, zip(ids, (row.remarks for row in rows), strict=True))


def _ids(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    return {
        row.key: row.id
        for part in parts(keys)
        for row in connection.execute(
            select(images.c.key, images.c.id).where(images.c.key.in_(part))
        )
    }


def _place(row: ImageRow | TouchedRow) -> dict[str, Any]:
    uri = None if row.uri == row.key else row.uri
    return {"key": row.key, "uri": uri, "name": row.name}


def _image(source: int, row: ImageRow) -> dict[str, Any]:
    return {
        **_place(row),
        "source_id": source,
        "size": row.version.size,
        "mtime_ns": row.version.stamp,
        "etag": row.version.etag,
        "content_hash": row.content_hash,
        "width": int(row.width),
        "height": int(row.height),
        "metadata": plain(row.metadata),
    }
