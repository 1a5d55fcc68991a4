"""Galleries that earlier versions wrote open, search and grow; nothing in them is lost.

`fixtures/gallery-0.1.0.zip` was written by version 0.1.0 (schema 3, index format 2): 60 drawn
pictures (`factories.picture`, seeds 0 to 59) from a manifest with `--key sku`, described for
duplicates, centred, with one region per image, a failure and a dismissed pair.
"""

import json
import zipfile
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from factories import encode, picture
from readonly import only_readable
from terminal import cbir

from cbir import Gallery, Retriever, index_images, parse_where, verify_gallery
from cbir.config import CATALOG_FILE

FIXTURES = Path(__file__).with_name("fixtures")
NEAREST_TO_5 = [("P-44", 0.390237), ("P-41", 0.327802), ("P-07", 0.325639), ("P-20", 0.317868)]
"""What the version that wrote the gallery found there: keys and similarities."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The gallery of version 0.1.0, unpacked."""
    with zipfile.ZipFile(FIXTURES / "gallery-0.1.0.zip") as packed:
        packed.extractall(tmp_path / "gallery")
    return tmp_path / "gallery"


def test_it_answers_as_it_did(old: Path) -> None:
    with Gallery.open(old) as gallery:
        hits = Retriever(gallery).search(5, k=4).hits
        assert [hit.image.key for hit in hits] == [key for key, _ in NEAREST_TO_5]
        assert [hit.similarity for hit in hits] == pytest.approx(
            [similarity for _, similarity in NEAREST_TO_5], abs=2e-6
        )
        where = parse_where(["category=mug", "price<30"])
        hits = Retriever(gallery).search(5, k=3, where=where).hits
        assert [hit.image.key for hit in hits] == ["P-18", "P-15", "P-21"]


def test_its_embeddings_are_compared_with_new_ones(old: Path) -> None:
    with Gallery.open(old) as gallery:
        best = Retriever(gallery).search(encode(picture(64, 48, seed=12)), k=1).hits[0]
        assert best.image.key == "P-12"
        assert best.similarity > 0.99  # another precision may have computed it


def test_nothing_in_it_is_lost(old: Path) -> None:
    with Gallery.open(old) as gallery:
        assert gallery.count() == 60
        assert gallery.config.whitening is not None
        assert gallery.config.regions == ((0.25, 0.25, 0.5, 0.5),)
        assert gallery.catalog.dismissed() == [(3, 7)]
        assert [failure.key for failure in gallery.catalog.failures()] == ["P-99"]
        image = gallery.image(5)
        assert (image.key, image.uri) == ("P-04", "/srv/shop/img/04.png")
        assert image.metadata["tags"] == ["red"]
        assert image.metadata["since"] == "2025-05-01"
        assert verify_gallery(gallery).ok


def test_its_index_is_used_as_it_lies(old: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (old / "vectors").glob("rows-*")}
    with Gallery.open(old) as gallery:
        Retriever(gallery).search(5)
    after = {path.name: path.stat().st_mtime_ns for path in (old / "vectors").glob("rows-*")}
    assert after == before


def test_it_grows(old: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for seed in (100, 101):
        picture(64, 48, seed=seed).save(folder / f"{seed}.png")
    with Gallery.open(old) as gallery:
        report = index_images(folder, gallery)
        assert (report.added, report.failed) == (2, ())
        best = Retriever(gallery).search(encode(picture(64, 48, seed=100)), k=1).hits[0]
        assert best.image.name == "100.png"
        gallery.remove([5])
        assert gallery.count() == 61
        assert verify_gallery(gallery).ok


def test_the_commands_take_it(old: Path) -> None:
    info = json.loads(cbir("info", "-g", old, "--json").out)
    assert info["images"] == 60
    assert cbir("verify", "-g", old).code == 0
    found = json.loads(cbir("search", "id:5", "-k", "1", "-g", old, "--json").out)
    assert found["hits"][0]["key"] == "P-44"
    groups = cbir("duplicates", "-g", old, "--json")
    assert groups.code == 0


def test_one_without_remarks_is_read_where_it_cannot_be_migrated(old: Path, tmp_path: Path) -> None:
    with Gallery.open(old):
        pass
    with closing(connect(old / CATALOG_FILE)) as catalog:
        catalog.execute("DROP TABLE remarks")
        catalog.execute("UPDATE state SET schema_version = 5")
        catalog.commit()
        catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with only_readable(old), Gallery.open(old) as gallery:
        hits = Retriever(gallery).search(5, k=4).hits
        assert [hit.image.key for hit in hits] == [key for key, _ in NEAREST_TO_5]
        assert gallery.catalog.remarks() == []
        assert gallery.catalog.ids_with_remark("raw") == frozenset()
    with Gallery.open(old) as gallery:
        assert gallery.config.ground == "white"
        assert gallery.catalog.remarks() == []
        assert verify_gallery(gallery).ok
