"""Catalogues as every version wrote them are opened, and nothing of them is lost."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from rows import batch, config, row, unit
from sqlalchemy import create_engine, inspect

from cbir.catalog.catalog import Catalog
from cbir.catalog.vectors import encode
from cbir.filters import parse_where

VERSION_1 = """
CREATE TABLE sources (id INTEGER NOT NULL PRIMARY KEY, uri TEXT NOT NULL UNIQUE);
CREATE TABLE state (
    only INTEGER NOT NULL PRIMARY KEY, schema_version INTEGER NOT NULL,
    gallery_id VARCHAR(32) NOT NULL, generation INTEGER NOT NULL,
    next_image_id INTEGER NOT NULL, config JSON NOT NULL);
CREATE TABLE projections (digest VARCHAR(16) NOT NULL PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE tombstones (image_id INTEGER NOT NULL PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX tombstones_by_generation ON tombstones (generation);
CREATE TABLE failures (
    uri TEXT NOT NULL PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources (id),
    reason TEXT NOT NULL, size BIGINT, mtime_ns BIGINT);
CREATE TABLE images (
    id INTEGER NOT NULL PRIMARY KEY, uri TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    source_id INTEGER NOT NULL REFERENCES sources (id), size BIGINT NOT NULL, mtime_ns BIGINT,
    content_hash BLOB NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    metadata JSON NOT NULL);
CREATE TABLE descriptors (
    image_id INTEGER NOT NULL REFERENCES images (id), method VARCHAR(32) NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (image_id, method));
CREATE TABLE embeddings (
    image_id INTEGER NOT NULL PRIMARY KEY REFERENCES images (id), generation INTEGER NOT NULL,
    vector BLOB NOT NULL);
CREATE INDEX embeddings_by_generation ON embeddings (generation);
"""

# As cbir made version 2 itself, not as it migrated to it.
VERSION_2 = """
CREATE TABLE sources (id INTEGER NOT NULL PRIMARY KEY, uri TEXT NOT NULL UNIQUE);
CREATE TABLE state (
    only INTEGER NOT NULL PRIMARY KEY, schema_version INTEGER NOT NULL,
    gallery_id VARCHAR(32) NOT NULL, generation INTEGER NOT NULL,
    next_image_id INTEGER NOT NULL, config JSON NOT NULL);
CREATE TABLE projections (digest VARCHAR(16) NOT NULL PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE tombstones (image_id INTEGER NOT NULL PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX tombstones_by_generation ON tombstones (generation);
CREATE TABLE statistics (
    name VARCHAR(32) NOT NULL PRIMARY KEY, generation INTEGER NOT NULL, data JSON NOT NULL);
CREATE TABLE failures (
    "key" TEXT NOT NULL PRIMARY KEY, uri TEXT,
    source_id INTEGER NOT NULL REFERENCES sources (id),
    reason TEXT NOT NULL, size BIGINT, mtime_ns BIGINT);
CREATE TABLE images (
    id INTEGER NOT NULL PRIMARY KEY, "key" TEXT NOT NULL UNIQUE, uri TEXT, name TEXT NOT NULL,
    source_id INTEGER NOT NULL REFERENCES sources (id), size BIGINT NOT NULL, mtime_ns BIGINT,
    content_hash BLOB NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    metadata JSON NOT NULL);
CREATE INDEX images_by_uri ON images (uri) WHERE uri IS NOT NULL;
CREATE TABLE fields (
    id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, type VARCHAR(8) NOT NULL,
    UNIQUE (name, type));
CREATE TABLE field_values (
    image_id INTEGER NOT NULL REFERENCES images (id),
    field_id INTEGER NOT NULL REFERENCES fields (id), place INTEGER NOT NULL,
    number DOUBLE, text TEXT, PRIMARY KEY (image_id, field_id, place)) WITHOUT ROWID;
CREATE INDEX field_values_by_value ON field_values (field_id, number, text, image_id);
CREATE TABLE descriptors (
    image_id INTEGER NOT NULL REFERENCES images (id), method VARCHAR(32) NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (image_id, method));
CREATE TABLE dismissals (
    first_id INTEGER NOT NULL REFERENCES images (id),
    second_id INTEGER NOT NULL REFERENCES images (id), PRIMARY KEY (first_id, second_id));
CREATE TABLE regions (
    image_id INTEGER NOT NULL REFERENCES images (id), region INTEGER NOT NULL,
    generation INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (image_id, region));
CREATE INDEX regions_by_generation ON regions (generation);
CREATE TABLE embeddings (
    image_id INTEGER NOT NULL PRIMARY KEY REFERENCES images (id), generation INTEGER NOT NULL,
    vector BLOB NOT NULL);
CREATE INDEX embeddings_by_generation ON embeddings (generation);
"""
VERSION_3 = VERSION_2.replace(
    "uri TEXT NOT NULL UNIQUE)", "uri TEXT NOT NULL UNIQUE, key_column TEXT)"
)
VERSION_4 = VERSION_3.replace("mtime_ns BIGINT", "mtime_ns BIGINT, etag TEXT")
VERSIONS = {1: VERSION_1, 2: VERSION_2, 3: VERSION_3, 4: VERSION_4}


def old_catalogue(file: Path, version: int) -> str:
    """Two images with metadata and a failure, as a version kept them. Returns the URL."""
    old = sqlite3.connect(file)
    old.row_factory = sqlite3.Row
    old.executescript(VERSIONS[version])

    def insert(table: str, **values: object) -> None:
        names, marks = ", ".join(f'"{name}"' for name in values), ", ".join("?" * len(values))
        old.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))

    key = "uri" if version == 1 else "key"
    insert("sources", id=1, uri="/shop")
    insert(
        "state",
        only=1,
        schema_version=version,
        gallery_id="0" * 32,
        generation=1,
        next_image_id=3,
        config=json.dumps(config().to_json()),
    )
    if version > 1:
        insert("fields", id=1, name="category", type="text")
        insert("fields", id=2, name="price", type="number")
        insert("statistics", name="background", generation=1, data="{}")
    for number, name in ((1, "mug"), (2, "cup")):
        metadata = {"category": name, "price": 4.5 * number}
        insert(
            "images",
            id=number,
            name=f"{name}.jpg",
            source_id=1,
            size=9,
            mtime_ns=9,
            content_hash=bytes(16),
            width=4,
            height=3,
            metadata=json.dumps(metadata),
            **{key: f"/shop/{name}.jpg"},
        )
        (vector,) = encode(np.stack([unit(number)]))
        insert("embeddings", image_id=number, generation=1, vector=vector)
        if version > 1:
            insert("field_values", image_id=number, field_id=1, place=0, text=name)
            insert("field_values", image_id=number, field_id=2, place=0, number=4.5 * number)
    failure = {"source_id": 1, "reason": "truncated", "size": 5, "mtime_ns": 6}
    insert("failures", **failure, **{key: "/shop/broken.jpg"})
    old.commit()
    old.close()
    return f"sqlite:///{file}"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_catalogue_of_every_version_is_opened_with_everything_in_it(
    tmp_path: Path, version: int
) -> None:
    url = old_catalogue(tmp_path / "catalog.sqlite", version)
    catalog = Catalog.open(url)
    mug = catalog.find("/shop/mug.jpg")
    assert mug is not None
    assert (mug.id, mug.key, mug.uri) == (1, "/shop/mug.jpg", "/shop/mug.jpg")
    assert mug.metadata == {"category": "mug", "price": 4.5}
    assert [(f.uri, f.reason) for f in catalog.failures()] == [("/shop/broken.jpg", "truncated")]
    assert catalog.matching(parse_where(["price>5"])).tolist() == [2]
    assert catalog.embeddings([2])[2] == pytest.approx(unit(2), abs=1e-3)
    assert (catalog.key_column("/shop"), catalog.key_column("/other")) == ("", None)
    assert (catalog.generation(), catalog.config, catalog.check()) == (1, config(), [])
    catalog.write("/shop", batch(row("/shop/jug.jpg", unit(3), metadata={"price": 9.0})))
    assert catalog.matching(parse_where(["price=9"])).tolist() == [2, 3]
    assert catalog.remove([1]) == 1
    catalog.close()
    Catalog.open(url).close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migrated_catalogue_has_the_tables_of_a_new_one(tmp_path: Path, version: int) -> None:
    url = old_catalogue(tmp_path / "old.sqlite", version)
    Catalog.open(url).close()
    new = f"sqlite:///{tmp_path / 'new.sqlite'}"
    Catalog.create(new, config()).close()
    assert tables(url) == tables(new)
    assert "statistics" not in tables(url)


def tables(url: str) -> dict[str, tuple[object, ...]]:
    """Columns, keys and indexes of every table, in an order that does not depend on its history."""
    engine = create_engine(url)
    found = inspect(engine)
    shapes: dict[str, tuple[object, ...]] = {}
    for table in found.get_table_names():
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)}
        indexes = sorted((str(i["name"]), str(i["column_names"])) for i in found.get_indexes(table))
        unique = sorted(str(u["column_names"]) for u in found.get_unique_constraints(table))
        keys = found.get_pk_constraint(table)["constrained_columns"]
        links = sorted(
            str((k["constrained_columns"], k["referred_table"]))
            for k in found.get_foreign_keys(table)
        )
        rowid = "WITHOUT ROWID" in str(found.get_table_options(table))
        shapes[table] = (columns, indexes, unique, keys, links, rowid)
    engine.dispose()
    return shapes


def test_version_1_is_indexed_value_by_value_as_today(tmp_path: Path) -> None:
    """The frozen step finds what writing the same metadata finds today."""
    metadata = {
        "text": "é",
        "half": "\ud800",
        "whole": 10**400,
        "yes": True,
        "tags": ["a", 1.5, 2],
        "nothing": None,
        "object": {"a": 1},
        "empty": [],
    }
    file = tmp_path / "catalog.sqlite"
    old_catalogue(file, 1)
    with sqlite3.connect(file) as old:
        old.execute("UPDATE images SET metadata = ? WHERE id = 2", (json.dumps(metadata),))
    old.close()
    migrated = Catalog.open(f"sqlite:///{file}")
    new = Catalog.create(f"sqlite:///{tmp_path / 'new.sqlite'}", config())
    first = row("/shop/mug.jpg", unit(1), metadata={"category": "mug", "price": 4.5})
    new.write("/shop", batch(first, row("/shop/cup.jpg", unit(2), metadata=metadata)))
    assert migrated.field_summaries() == new.field_summaries()
    for catalog in (migrated, new):
        assert catalog.matching(parse_where(["tags has 1.5", "yes=true"])).tolist() == [2]
        catalog.close()
