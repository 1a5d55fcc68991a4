"""Migrates a catalogue that an older cbir wrote to the current version.

A step never changes: it contains its SQL, and does not use the current schema. Catalogues of the
first versions are SQLite files, and their steps are SQLite's SQL.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from cbir.catalog.schema import SCHEMA_VERSION
from cbir.errors import GalleryVersionError

log = logging.getLogger(__name__)

PAGE = 10_000


def migrate(connection: Connection) -> None:
    """Bring a catalogue up to `SCHEMA_VERSION`, inside the caller's transaction.

    Raises GalleryVersionError when a newer cbir wrote it.
    """
    written = connection.exec_driver_sql("SELECT schema_version FROM state").scalar_one()
    if written > SCHEMA_VERSION:
        raise GalleryVersionError(
            f"gallery of version {written}, this cbir reads up to version {SCHEMA_VERSION}; "
            "update cbir to open it"
        )
    for version in range(written, SCHEMA_VERSION):
        log.info("migrating the catalogue from version %d to %d", version, version + 1)
        MIGRATIONS[version](connection)
        connection.exec_driver_sql(f"UPDATE state SET schema_version = {version + 1}")


def _keys_and_fields(connection: Connection) -> None:
    """1 → 2: an image's key may differ from its URI; metadata is indexed field by field."""
    for statement in (
        "ALTER TABLE images RENAME COLUMN uri TO key",
        "ALTER TABLE images ADD COLUMN uri TEXT",
        "ALTER TABLE failures RENAME COLUMN uri TO key",
        "ALTER TABLE failures ADD COLUMN uri TEXT",
        "CREATE INDEX images_by_uri ON images (uri) WHERE uri IS NOT NULL",
        """CREATE TABLE fields (
            id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, type VARCHAR(8) NOT NULL,
            UNIQUE (name, type))""",
        """CREATE TABLE field_values (
            image_id INTEGER NOT NULL REFERENCES images (id),
            field_id INTEGER NOT NULL REFERENCES fields (id),
            place INTEGER NOT NULL, number DOUBLE, text TEXT,
            PRIMARY KEY (image_id, field_id, place)) WITHOUT ROWID""",
        "CREATE INDEX field_values_by_value ON field_values (field_id, number, text, image_id)",
        """CREATE TABLE regions (
            image_id INTEGER NOT NULL REFERENCES images (id), region INTEGER NOT NULL,
            generation INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (image_id, region))""",
        "CREATE INDEX regions_by_generation ON regions (generation)",
        """CREATE TABLE dismissals (
            first_id INTEGER NOT NULL REFERENCES images (id),
            second_id INTEGER NOT NULL REFERENCES images (id),
            PRIMARY KEY (first_id, second_id))""",
    ):
        connection.exec_driver_sql(statement)
    fields: dict[tuple[str, str], int] = {}
    last = 0
    query = f"SELECT id, metadata FROM images WHERE id > ? ORDER BY id LIMIT {PAGE}"
    while rows := connection.exec_driver_sql(query, (last,)).all():
        before = len(fields)
        values = [
            (row.id, fields.setdefault((name, kind), len(fields) + 1), place, number, text)
            for row in rows
            for name, kind, place, number, text in _values_of_version_2(json.loads(row.metadata))
        ]
        new = [(field_id, *field) for field, field_id in list(fields.items())[before:]]
        if new:
            connection.exec_driver_sql("INSERT INTO fields VALUES (?, ?, ?)", new)
        if values:
            connection.exec_driver_sql("INSERT INTO field_values VALUES (?, ?, ?, ?, ?)", values)
        last = rows[-1].id


def _values_of_version_2(
    metadata: Mapping[str, Any],
) -> Iterator[tuple[str, str, int, float | None, str | None]]:
    """Field, type, place in a list, number and text of every value. Dates are text in version 1."""
    for name, value in metadata.items():
        if value is None:
            continue
        kind = "list" if isinstance(value, list) else "text"
        if isinstance(value, (bool, int, float)):
            kind = "boolean" if isinstance(value, bool) else "number"
        for place, item in enumerate(value if isinstance(value, list) else [value]):
            number = _as_number(item) if isinstance(item, (bool, int, float)) else None
            text = None if number is not None else _as_text(str(item))
            yield _as_text(name), kind, place, number, text


def _as_number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # JSON has whole numbers of any length
        return float("inf") if value > 0 else float("-inf")


def _as_text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _key_columns(connection: Connection) -> None:
    """2 → 3: a source stores the column that its images' keys come from."""
    connection.exec_driver_sql("ALTER TABLE sources ADD COLUMN key_column TEXT")


def _entity_tags(connection: Connection) -> None:
    """3 → 4: an image at a URL has its entity tag in addition to the tag's hash."""
    for table in ("images", "failures"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN etag TEXT")


def _no_statistics(connection: Connection) -> None:
    """4 → 5: drops the table `statistics`, which nothing reads."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS statistics")


def _remarks(connection: Connection) -> None:
    """5 → 6: remarks on images (damaged, nothing but one colour)."""
    image_id = "INTEGER" if connection.dialect.name == "sqlite" else "BIGINT"
    collation = "" if connection.dialect.name == "sqlite" else ' COLLATE "C"'
    connection.exec_driver_sql(
        f"CREATE TABLE remarks (image_id {image_id} NOT NULL REFERENCES images (id), "
        f"kind VARCHAR(32) NOT NULL, text TEXT{collation} NOT NULL, PRIMARY KEY (image_id, kind))"
    )


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    1: _keys_and_fields,
    2: _key_columns,
    3: _entity_tags,
    4: _no_statistics,
    5: _remarks,
}
"""Version n → the step from version n to version n + 1."""
