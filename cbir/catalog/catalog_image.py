"""Complete images of the catalogue, for export and import."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Text, cast, func, select

from cbir.arrays import Ids
from cbir.catalog.engine import parts
from cbir.catalog.metadata.values import field_ids
from cbir.catalog.schema import embeddings, field_values, images, sources


@dataclass(frozen=True, slots=True)
class CatalogImage:
    """One image with everything that the catalogue stores of it, for a lossless copy."""

    id: int
    key: str
    uri: str
    name: str
    source: str
    """The URI of the source that the image came from."""
    width: int
    height: int
    size: int
    mtime_ns: int | None
    content_hash: bytes
    """16 bytes."""
    metadata: str
    """JSON text, as stored in the catalogue."""
    dates: tuple[str, ...]
    """The metadata fields whose text is a date."""
    vector: bytes
    """(D,) float16, little-endian."""

    def same_as(self, other: CatalogImage) -> bool:
        """Whether both are equal in everything but the id."""
        return self == replace(other, id=self.id)


def image_pages(
    connection: Connection, allowed: Ids | None, page: int
) -> Iterator[list[CatalogImage]]:
    """Pages of all images, or of those with the `allowed` ids (N,), ascending by id."""
    kinds = _date_fields(connection)
    if allowed is None:
        streamed = connection.execution_options(yield_per=page)
        for rows in streamed.execute(_CATALOG_IMAGE.order_by(images.c.id)).partitions():
            yield _complete(connection, rows, kinds)
        return
    for start in range(0, len(allowed), page):
        ids = allowed[start : start + page].tolist()
        rows = [
            row
            for part in parts(ids)
            for row in connection.execute(
                _CATALOG_IMAGE.where(images.c.id.in_(part)).order_by(images.c.id)
            )
        ]
        yield _complete(connection, rows, kinds)


def images_by_key(connection: Connection, keys: Sequence[str]) -> list[CatalogImage]:
    """The images with these keys; at most ROWS_PER_STATEMENT keys."""
    rows = connection.execute(_CATALOG_IMAGE.where(images.c.key.in_(keys))).all()
    return _complete(connection, rows, _date_fields(connection))


# In the order of CatalogImage's fields, without the dates.
_CATALOG_IMAGE = (
    select(
        images.c.id,
        images.c.key,
        func.coalesce(images.c.uri, images.c.key),
        images.c.name,
        sources.c.uri.label("source"),
        images.c.width,
        images.c.height,
        images.c.size,
        images.c.mtime_ns,
        images.c.content_hash,
        cast(images.c.metadata, Text).label("json"),
        embeddings.c.vector,
    )
    .join(sources, sources.c.id == images.c.source_id)
    .join(embeddings, embeddings.c.image_id == images.c.id)
)


def _date_fields(connection: Connection) -> dict[int, str]:
    """The names of the fields that hold dates, by their ids."""
    ids = field_ids(connection).items()
    return {field_id: name for (name, kind), field_id in ids if kind == "date"}


def _complete(
    connection: Connection, rows: Sequence[Any], kinds: dict[int, str]
) -> list[CatalogImage]:
    dates: defaultdict[int, list[str]] = defaultdict(list)
    if kinds:
        columns = field_values.c.image_id, field_values.c.field_id
        query = select(*columns).where(columns[1].in_(list(kinds)))
        for part in parts([row.id for row in rows]):
            for image_id, field_id in connection.execute(query.where(columns[0].in_(part))):
                dates[image_id].append(kinds[field_id])
    complete: Iterator[list[Any]] = (
        [*row[:-1], tuple(sorted(dates.get(row.id, ()))), row.vector] for row in rows
    )
    return [CatalogImage(*values) for values in complete]
