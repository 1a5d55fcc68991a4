from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rows import batch, config, row, unit
from sqlalchemy import text

from cbir.catalog import migrations
from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch, FailureRow, RegionRow, TouchedRow
from cbir.catalog.schema import SCHEMA_VERSION
from cbir.errors import GalleryError, GalleryExistsError, GalleryNotFoundError, GalleryVersionError
from cbir.types import DescriptorRow, ImageVersion

SOURCE = "/photos"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.sqlite'}"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    catalog = Catalog.create(url, config())
    yield catalog
    catalog.close()


def test_what_is_written_is_read_back(catalog: Catalog) -> None:
    written = row("/photos/a.jpg", unit(1), metadata={"category": "mug", "price": 4.5})
    catalog.write(SOURCE, batch(written))
    found = catalog.find("/photos/a.jpg")
    assert found is not None
    assert (found.id, found.name, found.width, found.height) == (1, "a.jpg", 40, 30)
    assert found.metadata == {"category": "mug", "price": 4.5}
    np.testing.assert_allclose(catalog.embeddings([1])[1], unit(1), atol=1e-3)


def test_stored_embeddings_have_unit_norm(catalog: Catalog) -> None:
    catalog.write(SOURCE, batch(*(row(f"/{i}", unit(i)) for i in range(20))))
    norms = [np.linalg.norm(v) for v in catalog.embeddings(range(1, 21)).values()]
    np.testing.assert_allclose(norms, 1, atol=1e-6)


def test_a_known_uri_is_replaced_and_keeps_its_id(catalog: Catalog) -> None:
    catalog.write(SOURCE, batch(row("/a", unit(1)), row("/b", unit(2))))
    catalog.write(SOURCE, batch(row("/b", unit(3)), row("/c", unit(4))))
    assert catalog.count() == 3
    replaced = catalog.find("/b")
    assert replaced is not None
    assert replaced.id == 2
    np.testing.assert_allclose(catalog.embeddings([2])[2], unit(3), atol=1e-3)


def test_every_write_is_one_generation(catalog: Catalog) -> None:
    assert catalog.generation() == 0
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    catalog.write(SOURCE, batch(row("/b", unit(2))))
    catalog.remove([1])
    assert catalog.generation() == 3


CHANGES_OF_VECTORS: dict[str, Callable[[Catalog], object]] = {
    "an image added": lambda c: c.write(SOURCE, batch(row("/c", unit(3)))),
    "an image embedded again": lambda c: c.write(SOURCE, batch(row("/a", unit(3)))),
    "an image removed": lambda c: c.remove([2]),
    "regions": lambda c: c.write_regions([RegionRow(1, b"/a".ljust(16, b"\0"), unit(1)[None])]),
    "whitening": lambda c: c.set_whitening(None, None),
}
OTHER_CHANGES: dict[str, Callable[[Catalog], object]] = {
    "metadata": lambda c: c.change_metadata(1, {"price": 3}),
    "another place": lambda c: c.write(
        SOURCE, Batch(touched=[TouchedRow(1, "/a", "/b", "b", ImageVersion(9, 9), {})])
    ),
    "another key": lambda c: c.write(
        SOURCE, Batch(moved=[TouchedRow(1, "/z", "/z", "z", ImageVersion(9, 9), {})])
    ),
    "a failure": lambda c: c.write(SOURCE, Batch(failures=[FailureRow("/d", "/d", "bad", None)])),
    "a dismissal": lambda c: c.dismiss([(1, 2)]),
    "a descriptor": lambda c: c.write_descriptors(
        "toy", [DescriptorRow(1, b"/a".ljust(16, b"\0"), b"x")]
    ),
    "configuration": lambda c: c.change_config(lambda config: replace(config, index="pq")),
    "a key column": lambda c: c.set_key_column(SOURCE, "sku"),
    "reserved ids": lambda c: c.reserve_ids(99),
    "nothing removed": lambda c: c.remove([77]),
    "regions of an image that is gone": lambda c: c.write_regions(
        [RegionRow(77, bytes(16), unit(1)[None])]
    ),
}


@pytest.mark.parametrize("change", [*CHANGES_OF_VECTORS, *OTHER_CHANGES])
def test_a_generation_is_a_change_of_vectors(catalog: Catalog, change: str) -> None:
    """Indexes follow it, and must not be saved again for anything else."""
    catalog.write(SOURCE, batch(row("/a", unit(1)), row("/b", unit(2))))
    {**CHANGES_OF_VECTORS, **OTHER_CHANGES}[change](catalog)
    assert catalog.generation() == (2 if change in CHANGES_OF_VECTORS else 1)


def test_changes_are_seen_since_a_generation(catalog: Catalog) -> None:
    catalog.write(SOURCE, batch(row("/a", unit(1)), row("/b", unit(2))))
    catalog.write(SOURCE, batch(row("/c", unit(3))))
    catalog.remove([1])
    with catalog.snapshot() as snapshot:
        changed = [i for ids, _ in snapshot.changed_since(1) for i in ids]
        everything = [i for ids, _ in snapshot.changed_since(0) for i in ids]
        assert changed == [3]
        assert everything == [2, 3]
        assert snapshot.removed_since(2).tolist() == [1]
        assert snapshot.removed_since(3).tolist() == []


def test_a_touch_changes_the_row_and_not_the_generation(catalog: Catalog) -> None:
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    touched = TouchedRow(1, "/a", "/a", "new name", ImageVersion(9, 9), {"colour": "red"})
    catalog.write(SOURCE, Batch(touched=[touched]))
    assert catalog.generation() == 1
    known = catalog.indexed_images(["/a"])["/a"]
    assert (known.name, known.version, known.metadata) == (
        "new name",
        ImageVersion(9, 9),
        {"colour": "red"},
    )


def test_ids_are_never_used_twice(catalog: Catalog) -> None:
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    catalog.remove([1])
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    again = catalog.find("/a")
    assert again is not None
    assert again.id == 2


def test_a_failure_is_kept_until_the_image_is_read(catalog: Catalog) -> None:
    failure = FailureRow("/a", "/a", "truncated", ImageVersion(3, 4))
    catalog.write(SOURCE, Batch(failures=[failure]))
    catalog.write(SOURCE, Batch(failures=[failure]))
    assert catalog.failures_by_key(["/a", "/b"]) == {"/a": failure}
    assert [f.reason for f in catalog.failures(source=SOURCE)] == ["truncated"]
    assert catalog.failures(source="/elsewhere") == []
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    assert catalog.failures() == []


def test_a_batch_is_written_whole_or_not_at_all(catalog: Catalog) -> None:
    bad = row("/b", unit(2))
    object.__setattr__(bad, "content_hash", None)
    with pytest.raises(Exception, match="content_hash"):
        catalog.write(SOURCE, batch(row("/a", unit(1)), bad))
    assert catalog.count() == 0
    assert catalog.generation() == 0


def test_many_names_fit_several_statements(catalog: Catalog) -> None:
    rows = [row(f"/{i}", unit(i % 7)) for i in range(2500)]
    catalog.write(SOURCE, batch(*rows))
    assert len(catalog.indexed_images([r.uri for r in rows])) == 2500
    assert [record.id for record, _ in catalog.scan()] == list(range(1, 2501))
    assert catalog.remove(range(1, 2500)) == 2499
    assert catalog.count() == 1


def test_two_catalogues_on_one_file_see_each_other(catalog: Catalog, url: str) -> None:
    other = Catalog.open(url)
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    other.write(SOURCE, batch(row("/a", unit(2)), row("/b", unit(3))))
    assert catalog.count() == other.count() == 2
    other.close()


def test_create_refuses_where_there_is_one(catalog: Catalog, url: str) -> None:
    with pytest.raises(GalleryExistsError, match="already"):
        Catalog.create(url, config())


def test_open_refuses_what_is_no_catalogue(tmp_path: Path, url: str) -> None:
    with pytest.raises(GalleryNotFoundError, match="not a cbir catalogue"):
        Catalog.open(url)
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"this is not a database" * 100)
    with pytest.raises(GalleryError, match=r"not a database; restore it"):
        Catalog.open(f"sqlite:///{junk}")


def test_a_catalogue_of_a_newer_version_is_refused(catalog: Catalog, url: str) -> None:
    with catalog._engine.begin() as connection:
        connection.execute(text("UPDATE state SET schema_version = 99"))
    with pytest.raises(GalleryVersionError, match="version 99, this cbir reads up to version"):
        Catalog.open(url)


def test_a_catalogue_of_an_older_version_is_migrated(
    catalog: Catalog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.write(SOURCE, batch(row("/a", unit(1))))
    newer = SCHEMA_VERSION + 1
    step = text("ALTER TABLE images ADD COLUMN note TEXT DEFAULT 'migrated'")
    steps = {SCHEMA_VERSION: lambda connection: connection.execute(step)}
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", newer)
    monkeypatch.setattr("cbir.catalog.catalog.SCHEMA_VERSION", newer)
    Catalog.open(url).close()
    with catalog._engine.connect() as connection:
        assert connection.execute(text("SELECT note FROM images")).scalars().all() == ["migrated"]
        version = connection.execute(text("SELECT schema_version FROM state")).scalar_one()
        assert version == newer


def test_a_migration_that_fails_leaves_the_old_version(
    catalog: Catalog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: object) -> None:
        raise RuntimeError("half way")

    monkeypatch.setattr(migrations, "MIGRATIONS", {SCHEMA_VERSION: fails})
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr("cbir.catalog.catalog.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(RuntimeError, match="half way"):
        Catalog.open(url)
    monkeypatch.undo()
    Catalog.open(url).close()


def test_a_locked_catalogue_says_so(catalog: Catalog, url: str) -> None:
    other = Catalog.open(f"{url}?timeout=0")
    with catalog._engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")  # the begin event opened a reading transaction
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(GalleryError, match="another process is writing"):
            other.write(SOURCE, batch(row("/a", unit(1))))
        connection.exec_driver_sql("ROLLBACK")
    other.close()


def test_check_finds_an_image_without_its_embedding(catalog: Catalog) -> None:
    catalog.write(SOURCE, batch(row("/a", unit(1)), row("/b", unit(2))))
    assert catalog.check() == []
    with catalog._engine.begin() as connection:
        connection.execute(text("DELETE FROM embeddings WHERE image_id = 2"))
    assert catalog.check() == ["image 2 has no embedding of the gallery's dimension"]


def test_commits_are_synced_to_disk(catalog: Catalog) -> None:
    with catalog._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
