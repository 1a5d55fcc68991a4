"""The catalogue's tables, and how a catalogue of an older version becomes one of this version."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    select,
    update,
)

from cbir.errors import GalleryVersionError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {}
"""Version n → what turns a catalogue of version n into one of version n + 1."""

metadata = MetaData()

# SQLite gives a rowid (and with it a compact clustered table) only to an INTEGER key.
_Id = BigInteger().with_variant(Integer, "sqlite")

state = Table(
    "state",
    metadata,
    Column("only", Integer, primary_key=True, comment="always 1: the table has one row"),
    Column("schema_version", Integer, nullable=False),
    Column("gallery_id", String(32), nullable=False, comment="an index file names its gallery"),
    Column("generation", _Id, nullable=False, comment="grows by one with every transaction"),
    Column("next_image_id", _Id, nullable=False, comment="ids are never used twice"),
    Column("config", JSON, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uri", Text, nullable=False, unique=True),
)

images = Table(
    "images",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("uri", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger),
    Column("content_hash", LargeBinary(16), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("metadata", JSON, nullable=False),
)

# Apart from `images`, so that a scan of names and sizes does not page through vectors.
embeddings = Table(
    "embeddings",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("generation", _Id, nullable=False),
    Column("vector", LargeBinary, nullable=False, comment="(D,) float16, little-endian"),
    Index("embeddings_by_generation", "generation"),
)

# Of no use without the image, and made anew from it: they carry no generation.
descriptors = Table(
    "descriptors",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("method", String(32), primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="as the method's reranker encodes it"),
)

projections = Table(
    "projections",
    metadata,
    Column("digest", String(16), primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="mean and directions, float32"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("image_id", _Id, primary_key=True, autoincrement=False),
    Column("generation", _Id, nullable=False),
    Index("tombstones_by_generation", "generation"),
)

failures = Table(
    "failures",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger, comment="null: try again at every run"),
)


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
