"""The catalogue's tables.

The generation counts transactions that changed vectors: images added, embedded again or removed,
regions, whitening. Each takes the next number, and the rows it wrote carry it, so that an index
can read what changed after the generation it has seen. Metadata, failures, dismissals, descriptors
and configuration change no vector and take none: no index is rebuilt for them.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 6
"""Version of the tables below; a change of any takes the next number and a migration step."""

WITHOUT_REMARKS = 5
"""Version that lacks the table of remarks alone: it can be read without being migrated."""

metadata = MetaData()

# Compared by code points: date filters and pages ordered by key compare texts.
_Text = Text().with_variant(Text(collation="C"), "postgresql")

# SQLite gives a rowid (and with it a compact clustered table) only to an INTEGER key.
_Id = BigInteger().with_variant(Integer, "sqlite")

state = Table(
    "state",
    metadata,
    Column("only", Integer, primary_key=True, comment="always 1: the table has one row"),
    Column("schema_version", Integer, nullable=False),
    Column("gallery_id", String(32), nullable=False, comment="an index file names its gallery"),
    Column("generation", _Id, nullable=False, comment="last change of vectors"),
    Column("next_image_id", _Id, nullable=False, comment="ids are never used twice"),
    Column("config", JSON, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uri", _Text, nullable=False, unique=True),
    Column("key_column", _Text, comment="keys of its images; null: their URIs"),
)

images = Table(
    "images",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("key", _Text, nullable=False, unique=True, comment="identity; mostly the URI itself"),
    Column("uri", _Text, comment="where the image is; null: at its key"),
    Column("name", _Text, nullable=False),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, comment="ImageVersion.stamp: of a URL, a hash of its validator"),
    Column("etag", _Text, comment="as a server sent it; null: none, or a file"),
    Column("content_hash", LargeBinary(16), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("metadata", JSON, nullable=False),
)
_elsewhere = images.c.uri.is_not(None)
Index("images_by_uri", images.c.uri, sqlite_where=_elsewhere, postgresql_where=_elsewhere)

# The metadata a second time, one row per value, so that a filter is a range of an index.
fields = Table(
    "fields",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _Text, nullable=False),
    Column("type", String(8), nullable=False, comment="text, number, boolean, date or list"),
    UniqueConstraint("name", "type"),
)

field_values = Table(
    "field_values",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("field_id", Integer, ForeignKey("fields.id"), primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, comment="in a list, from 0; otherwise 0"),
    Column("number", Double, comment="numbers, and booleans as 0 and 1; also in lists"),
    Column("text", _Text, comment="texts, and dates in ISO 8601; also in lists"),
    Index("field_values_by_value", "field_id", "number", "text", "image_id"),
    # Clustered by image: new rows are appended, and an image's rows need no further index.
    sqlite_with_rowid=False,
)

# Separate from `images`, so that a scan of names and sizes does not read vectors.
embeddings = Table(
    "embeddings",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("generation", _Id, nullable=False),
    Column("vector", LargeBinary, nullable=False, comment="(D,) float16, little-endian"),
    Index("embeddings_by_generation", "generation"),
)

# Embeddings of parts of images, in galleries with regions: they find details.
regions = Table(
    "regions",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("region", Integer, primary_key=True, comment="from 1, in the order of the gallery's"),
    Column("generation", _Id, nullable=False),
    Column("vector", LargeBinary, nullable=False, comment="(D,) float16, little-endian"),
    Index("regions_by_generation", "generation"),
)

# Pairs of images marked as not duplicates; the smaller id first.
dismissals = Table(
    "dismissals",
    metadata,
    Column("first_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("second_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
)

# Computed from the image and recomputable; no vector index is derived from them.
descriptors = Table(
    "descriptors",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("method", String(32), primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="as the method's reranker encodes it"),
)

# What has to be known about an image: damaged, nothing but one colour. Few images have any.
remarks = Table(
    "remarks",
    metadata,
    Column("image_id", _Id, ForeignKey("images.id"), primary_key=True, autoincrement=False),
    Column("kind", String(32), primary_key=True, comment="a RemarkKind"),
    Column("text", _Text, nullable=False),
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
    Column("key", _Text, primary_key=True),
    Column("uri", _Text, comment="null: as the key"),
    Column("source_id", Integer, ForeignKey("sources.id"), nullable=False),
    Column("reason", _Text, nullable=False),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger, comment="null: try again at every run"),
    Column("etag", _Text, comment="as in images"),
)
