"""What every database that holds a catalogue must do; a new dialect joins by a line in `PLACES`."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rows import batch, config, row, unit
from sqlalchemy import make_url, select
from sqlalchemy.dialects import postgresql, registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from cbir.catalog import schema
from cbir.catalog.catalog import Catalog
from cbir.catalog.dialects import DIALECTS, load_dialect, parse_url, register_dialect
from cbir.catalog.engine import connect, dialect_of, reading, writing
from cbir.catalog.row_cache import CommitWatcher
from cbir.catalog.rows import Batch, TouchedRow
from cbir.catalog.schema import state
from cbir.catalog.sqlite import SqliteDialect
from cbir.errors import GalleryError, GalleryExistsError, GalleryNotFoundError
from cbir.filters import parse_where
from cbir.types import ImageVersion


class ToyDatabase(SQLiteDialect_pysqlite):
    """A database of another name, so that nobody can ask for SQLite by its name."""

    name = "toy"
    supports_statement_cache = True


class ToyDialect(SqliteDialect):
    """A dialect from outside the package."""


PLACES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder / 'catalog.sqlite'}",
    "toy": lambda folder: f"toy:///{folder / 'catalog.toy'}",
}
"""Dialect → the URL of a database that is not there yet."""


def test_every_dialect_is_tested_here() -> None:
    assert set(DIALECTS) <= set(PLACES)


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "toy":
        monkeypatch.setitem(DIALECTS, "toy", "")  # so that it is gone again afterwards
        registry.register("toy", __name__, "ToyDatabase")
        register_dialect("toy", f"{__name__}:ToyDialect")
    return PLACES[request.param](tmp_path)


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    catalog = Catalog.create(url, config())
    yield catalog
    catalog.close()


def test_a_catalogue_is_created_once_and_opened_again(url: str) -> None:
    with pytest.raises(GalleryNotFoundError):
        Catalog.open(url)
    created = Catalog.create(url, config())
    with pytest.raises(GalleryExistsError):
        Catalog.create(url, config())
    created.write("/s", batch(row("/a", unit(1), metadata={"price": 4.5})))
    opened = Catalog.open(url)
    assert (opened.gallery_id, opened.config, opened.count()) == (created.gallery_id, config(), 1)
    assert opened.check() == []
    created.close()
    opened.close()


def test_the_configuration_is_read_fast_or_not_at_all(catalog: Catalog, url: str) -> None:
    assert load_dialect(parse_url(url).get_backend_name()).read_config_fast(url) in (
        None,
        catalog.config,
    )


def test_a_place_is_named_without_its_password(url: str) -> None:
    parsed = make_url(url).set(username="me", password="s3cret")
    assert "s3cret" not in load_dialect(parsed.get_backend_name()).place(parsed)


def test_a_commit_of_another_connection_changes_the_last_commit(catalog: Catalog, url: str) -> None:
    watcher, other = CommitWatcher(connect(url)), Catalog.open(url)
    seen = [watcher.last()]
    assert watcher.last() == seen[0]
    other.set_key_column("/s", "sku")
    seen.append(watcher.last())
    assert watcher.last() == seen[1]
    watcher.close()  # asked again, it opens another connection
    seen.append(watcher.last())
    assert None not in seen
    assert len(set(seen)) == 3
    watcher.close()
    other.close()


def test_writers_take_turns(catalog: Catalog, url: str) -> None:
    """Each reads before it writes: not one change is lost, and none fails."""
    handles = [Catalog.open(url) for _ in range(4)]

    def work(handle: Catalog) -> None:
        for _ in range(5):
            handle.change_config(lambda c: replace(c, calibration=f"{c.calibration or ''}x"))

    threads = [threading.Thread(target=work, args=(handle,)) for handle in handles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.config.calibration == 20 * "x"
    for handle in handles:
        handle.close()


def test_a_reader_sees_one_state_and_holds_nobody_up(catalog: Catalog, url: str) -> None:
    engine, other = connect(url), Catalog.open(url)
    query = select(state.c.generation)
    with reading(engine) as connection:
        assert connection.execute(query).scalar_one() == 0
        other.write("/s", batch(row("/a", unit(1))))
        assert connection.execute(query).scalar_one() == 0
    with reading(engine) as connection:
        assert connection.execute(query).scalar_one() == 1
    other.close()


def test_what_fails_is_not_written(catalog: Catalog, url: str) -> None:
    engine = connect(url)

    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(state.update().values(generation=99))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert catalog.generation() == 0
    assert dialect_of(engine).problems(engine.connect()) == []


def test_rows_are_written_replaced_moved_found_and_removed(catalog: Catalog) -> None:
    rows = [row(f"/{i}", unit(i), metadata={"price": i, "tags": ["a", "é"]}) for i in range(3)]
    catalog.write("/s", batch(*rows))
    catalog.write("/s", batch(row("/1", unit(9), metadata={"price": 50, "on": True})))
    swapped = [
        TouchedRow(i, key, key, key, ImageVersion(1, 1), {}) for i, key in ((1, "/2"), (3, "/0"))
    ]
    catalog.write("/s", Batch(moved=swapped))
    assert {i: r.key for i, r in catalog.records([1, 2, 3]).items()} == {1: "/2", 2: "/1", 3: "/0"}
    assert catalog.matching(parse_where(["price>=50", "on=true"])).tolist() == [2]
    assert [(f.name, f.count) for f in catalog.facets()] == [("on", 1), ("price", 1)]
    with catalog.snapshot() as snapshot:
        (images,) = snapshot.catalog_images()
        assert [(i.key, i.metadata) for i in images][1] == ("/1", '{"price": 50, "on": true}')
        assert [ids.tolist() for ids, _ in snapshot.changed_since(1)] == [[2]]
    assert catalog.remove([1, 2]) == 2
    assert catalog.check() == []


@pytest.mark.parametrize("url", ["mysql://me:s3cret@host/shop", "oracle+driver://me:s3cret@host"])
def test_a_database_that_is_not_known_is_refused(url: str) -> None:
    with pytest.raises(GalleryError, match=r"begin with sqlite$") as refusal:
        Catalog.create(url, config())
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["not a URL", "me:s3cret@host", "sqlite://", "sqlite:///:memory:", "sqlite://me:s3cret@h/d"],
)
def test_what_cannot_hold_a_catalogue_is_refused(url: str) -> None:
    with pytest.raises(GalleryError) as refusal:
        Catalog.create(url, config())
    assert "s3cret" not in str(refusal.value)


def test_the_tables_can_be_made_in_postgresql() -> None:
    """No driver is needed to see that its compiler takes every type and option."""
    database: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=database))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=database))
    assert 'TEXT COLLATE "C"' in str(CreateTable(schema.images).compile(dialect=database))
