"""How a catalogue that an older cbir wrote becomes one of this version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select, text, update

from cbir.catalog import schema
from cbir.catalog.metadata import values
from cbir.catalog.schema import SCHEMA_VERSION, images, state
from cbir.errors import GalleryVersionError

log = logging.getLogger(__name__)

PAGE = 10_000


def migrate(connection: Connection) -> None:
    """Bring a catalogue up to `SCHEMA_VERSION`, inside the caller's transaction.

    Raises GalleryVersionError when a newer cbir wrote it.
    """
    found = connection.execute(select(state.c.schema_version)).scalar_one()
    if found > SCHEMA_VERSION:
        raise GalleryVersionError(
            f"gallery of version {found}, this cbir reads up to version {SCHEMA_VERSION}; "
            "update cbir to open it"
        )
    for version in range(found, SCHEMA_VERSION):
        log.info("migrating the catalogue from version %d to %d", version, version + 1)
        MIGRATIONS[version](connection)
        connection.execute(update(state).values(schema_version=version + 1))


def _keys_and_fields(connection: Connection) -> None:
    """1 → 2: an image's key may be other than its URI; metadata is indexed field by field."""
    for table in ("images", "failures"):
        connection.execute(text(f"ALTER TABLE {table} RENAME COLUMN uri TO key"))
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN uri TEXT"))
    new = (
        schema.fields,
        schema.field_values,
        schema.regions,
        schema.dismissals,
        schema.statistics,
    )
    schema.metadata.create_all(connection, tables=new)
    for index in images.indexes:
        index.create(connection)
    last = 0
    query = select(images.c.id, images.c.metadata).order_by(images.c.id).limit(PAGE)
    while rows := connection.execute(query.where(images.c.id > last)).all():
        values.insert_values(connection, [(row.id, row.metadata) for row in rows])
        last = rows[-1].id


def _key_columns(connection: Connection) -> None:
    """2 → 3: a source remembers which column its images are known by."""
    connection.execute(text("ALTER TABLE sources ADD COLUMN key_column TEXT"))


def _entity_tags(connection: Connection) -> None:
    """3 → 4: an image behind a URL has its entity tag beside the number made of it."""
    for table in ("images", "failures"):
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN etag TEXT"))


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    1: _keys_and_fields,
    2: _key_columns,
    3: _entity_tags,
}
"""Version n → what turns a catalogue of version n into one of version n + 1."""
