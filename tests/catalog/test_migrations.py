"""A catalogue as the first version wrote it is opened, and nothing of it is lost."""

import json
import sqlite3
from pathlib import Path

import numpy as np
from rows import config, unit

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


def test_version_1_is_opened_with_everything_in_it(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"
    old = sqlite3.connect(file)
    old.executescript(VERSION_1)
    old.execute("INSERT INTO sources VALUES (1, '/shop')")
    state = (1, 1, "0" * 32, 1, 3, json.dumps(config().to_json()))
    old.execute("INSERT INTO state VALUES (?, ?, ?, ?, ?, ?)", state)
    for number, name in ((1, "mug"), (2, "cup")):
        described = json.dumps({"category": name, "price": 4.5 * number})
        values = (number, f"/shop/{name}.jpg", f"{name}.jpg", 1, 9, 9, bytes(16), 4, 3, described)
        old.execute(f"INSERT INTO images VALUES ({', '.join('?' * 10)})", values)
        (vector,) = encode(np.stack([unit(number)]))
        old.execute("INSERT INTO embeddings VALUES (?, 1, ?)", (number, vector))
    old.execute("INSERT INTO failures VALUES ('/shop/broken.jpg', 1, 'truncated', 5, 6)")
    old.commit()
    old.close()

    catalog = Catalog.open(f"sqlite:///{file}")
    mug = catalog.find("/shop/mug.jpg")
    assert mug is not None
    assert (mug.id, mug.key, mug.uri) == (1, "/shop/mug.jpg", "/shop/mug.jpg")
    assert mug.metadata == {"category": "mug", "price": 4.5}
    assert [(f.uri, f.reason) for f in catalog.failures()] == [("/shop/broken.jpg", "truncated")]
    assert catalog.matching(parse_where(["price>5"])).tolist() == [2]
    assert catalog.check() == []
    assert (catalog.key_column("/shop"), catalog.key_column("/other")) == ("", None)
    assert catalog.remove([1]) == 1
    catalog.close()
    Catalog.open(f"sqlite:///{file}").close()
