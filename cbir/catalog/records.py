"""SELECT statements of images, and conversion of their rows to value types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Text, bindparam, cast, select

from cbir.catalog.rows import FailureRow, IndexedImage
from cbir.catalog.schema import embeddings, images
from cbir.types import ImageRecord, ImageVersion

MAX_ID = 2**63 - 1
"""Largest number that a database column holds."""

RECORD = select(
    images.c.id,
    images.c.key,
    images.c.uri,
    images.c.name,
    images.c.width,
    images.c.height,
    images.c.size,
    images.c.metadata,
    images.c.content_hash,
)
RECORDS = RECORD.where(images.c.id.in_(bindparam("ids", expanding=True)))
EMBEDDINGS = select(embeddings.c.image_id, embeddings.c.vector).where(
    embeddings.c.image_id.in_(bindparam("ids", expanding=True))
)
_STATE = (
    images.c.id,
    images.c.key,
    images.c.uri,
    images.c.name,
    images.c.size,
    images.c.mtime_ns,
    images.c.content_hash,
)
INDEXED_IMAGES = select(*_STATE, images.c.etag, images.c.metadata)
SOURCE_ROWS = select(*_STATE, cast(images.c.metadata, Text)).order_by(images.c.id)
SCAN = RECORD.add_columns(images.c.mtime_ns, images.c.etag)


def possible_ids(ids: Iterable[int]) -> list[int]:
    """Those of the ids that an image could have: a database takes no greater numbers."""
    return [image_id for image_id in ids if 0 < image_id <= MAX_ID]


def as_record(row: Any) -> ImageRecord:
    return ImageRecord(
        id=row.id,
        uri=row.uri or row.key,
        name=row.name,
        width=row.width,
        height=row.height,
        size=row.size,
        metadata=row.metadata,
        key=row.key,
        content=row.content_hash.hex(),
    )


def as_failure(row: Any) -> FailureRow:
    version = None if row.mtime_ns is None else ImageVersion(row.size, row.mtime_ns, row.etag)
    return FailureRow(row.key, row.uri or row.key, row.reason, version)


def as_indexed_image(row: Any) -> IndexedImage:
    return IndexedImage(
        id=row.id,
        key=row.key,
        uri=row.uri or row.key,
        name=row.name,
        version=ImageVersion(row.size, row.mtime_ns, row.etag),
        content_hash=row.content_hash,
        metadata=row.metadata,
    )
