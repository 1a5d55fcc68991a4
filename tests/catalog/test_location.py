"""A gallery whose catalogue lies elsewhere, used as any other."""

import json
import stat
from pathlib import Path

import pytest
from rows import config, spec
from sqlalchemy import URL, make_url
from sqlalchemy.exc import NoSuchModuleError
from terminal import cbir

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.catalog import location
from cbir.catalog.dialects import DIALECTS
from cbir.catalog.location import is_gallery, read_config_fast
from cbir.catalog.sqlite import SqliteDialect
from cbir.config import CATALOG_FILE, GALLERY_FILE
from cbir.errors import GalleryError, GalleryExistsError, GalleryNotFoundError, SourceError
from cbir.integrity import verify_gallery
from cbir.sources.folder import FolderSource


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A file in a folder that has nothing to do with the gallery."""
    other = tmp_path / "other place 100%"
    other.mkdir()
    return other / "shop.db"


@pytest.fixture
def elsewhere(folder: Path, tmp_path: Path, place: Path) -> Path:
    """A gallery of six pictures whose catalogue is at `place`."""
    path = tmp_path / "gallery"
    tiny, _ = resolve_spec("tiny_image")
    with Gallery.create(path, tiny, catalog_url=url_of(place)) as gallery:
        assert index_images(folder, gallery).added == 6
    return path


def url_of(file: Path) -> str:
    return f"sqlite:///{str(file).replace('%', '%25')}"


def test_it_is_created_filled_searched_and_opened_again(
    elsewhere: Path, place: Path, folder: Path
) -> None:
    assert place.is_file()
    assert not (elsewhere / CATALOG_FILE).exists()
    with Gallery.open(elsewhere) as gallery:
        (first, *_) = Retriever(gallery).search(folder / "odd" / "3.png").hits
        assert first.image.name == "odd/3.png"
        assert verify_gallery(gallery).ok
        assert read_config_fast(elsewhere) == gallery.config
        gallery.rebuild_index("hnsw")
    with Gallery.open(elsewhere) as again:
        assert (again.count(), again.config.index) == (6, "hnsw")


def test_the_command_line_follows(elsewhere: Path, place: Path, folder: Path) -> None:
    (folder / "odd" / "3.png").unlink()
    assert cbir("index", folder, "-g", elsewhere, "--prune").code == 0
    found = json.loads(cbir("search", folder / "odd" / "1.png", "-g", elsewhere, "--json").out)
    assert found["hits"][0]["uri"].endswith("odd/1.png")
    assert len(found["hits"]) == 5
    assert str(place) in cbir("info", "-g", elsewhere).out.replace("\n", "")
    assert cbir("verify", "-g", elsewhere).code == 0
    file = elsewhere.parent / "shop.npy"
    assert cbir("export", "--out", file, "-g", elsewhere).code == 0
    report = json.loads(cbir("import", file, "-g", elsewhere, "--json").out)
    assert (report["unchanged"], report["created"]) == (5, False)


def test_the_command_line_creates_it(folder: Path, place: Path, tmp_path: Path) -> None:
    path, url = tmp_path / "new", url_of(place)
    index = ("index", folder, "-g", path, "--backbone", "tiny_image")
    assert cbir(*index, "--catalog-url", url, "--dry-run").code == 0
    assert not path.exists()
    assert not place.exists()
    assert cbir(*index, "--catalog-url", url).code == 0
    assert place.is_file()
    assert not (path / CATALOG_FILE).exists()
    assert cbir(*index).code == 0  # known from now on
    assert cbir(*index, "--catalog-url", url).code == 0
    assert json.loads(cbir("info", "-g", path, "--json").out)["catalog_url"] == url
    assert str(place) in cbir("info", "-g", path).out.replace("\n", "")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_catalogue_that_is_not_the_gallerys_is_refused_naming_both(
    folder: Path, elsewhere: Path, place: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    other = url_of(tmp_path / "third.db")
    plain = tmp_path / "plain"
    Gallery.create(plain, resolve_spec("tiny_image")[0]).close()
    for path, mine in ((elsewhere, url_of(place)), (plain, url_of(plain / CATALOG_FILE))):
        refused = cbir("index", folder, "-g", path, "--catalog-url", other, *options)
        assert refused.code == 1
        assert f"has its catalogue at {mine}, not at {other}" in refused.err
    assert not (tmp_path / "third.db").exists()


@pytest.mark.parametrize("url", ["mysql://me:s3cret@h/d", "s3cret", "sqlite://me:s3cret@h/d"])
def test_a_url_that_can_hold_no_catalogue_is_refused_before_any_work(
    folder: Path, tmp_path: Path, url: str
) -> None:
    for options in ((), ("--dry-run",)):
        refused = cbir("index", folder, "-g", tmp_path / "new", "--catalog-url", url, *options)
        assert (refused.code, refused.out) == (1, "")
        assert "s3cret" not in refused.err
    assert not (tmp_path / "new").exists()


def test_the_gallery_is_no_folder_of_images(elsewhere: Path) -> None:
    with pytest.raises(SourceError, match="is a gallery"):
        list(FolderSource(elsewhere))
    assert all("gallery" not in image.name for image in FolderSource(elsewhere.parent))  # type: ignore[union-attr]


def test_a_relative_place_is_that_of_the_creating_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Gallery.create("g", spec(), catalog_url="sqlite:///c.db").close()
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.config == config()
    assert list((tmp_path / "deeper").iterdir()) == []


def test_what_is_there_is_not_created_again(elsewhere: Path, place: Path, tmp_path: Path) -> None:
    url = url_of(place)
    for path, catalog_url in ((elsewhere, None), (elsewhere, url), (tmp_path / "new", url)):
        with pytest.raises(GalleryExistsError):
            Gallery.create(path, spec(), catalog_url=catalog_url)
    assert not is_gallery(tmp_path / "new")
    with pytest.raises(GalleryExistsError, match="another catalogue"):
        Gallery.create(elsewhere, spec(), catalog_url=url_of(tmp_path / "third.db"))
    Gallery.create(tmp_path / "plain", spec()).close()
    with pytest.raises(GalleryExistsError, match="another catalogue"):
        Gallery.create(tmp_path / "plain", spec(), catalog_url=url_of(tmp_path / "third.db"))


def test_a_catalogue_that_is_away_is_not_taken_for_an_empty_gallery(
    elsewhere: Path, place: Path, folder: Path
) -> None:
    away = place.rename(place.with_name("away.db"))
    with pytest.raises(GalleryError, match=rf"nothing is there.*{GALLERY_FILE}") as refusal:
        Gallery.open(elsewhere)
    assert not isinstance(refusal.value, GalleryNotFoundError)
    assert cbir("index", folder, "-g", elsewhere).code == 1
    assert read_config_fast(elsewhere) is None
    assert not place.exists()
    away.rename(place)
    Gallery.open(elsewhere).close()


def test_a_creation_that_was_killed_can_be_done_again(tmp_path: Path, place: Path) -> None:
    path = tmp_path / "gallery"
    Gallery.create(path, spec(), catalog_url=url_of(place)).close()
    place.unlink()  # as if it had been killed before there was a catalogue
    for file in place.parent.iterdir():
        file.unlink()
    with Gallery.create(path, spec(), catalog_url=url_of(place)) as gallery:
        assert gallery.count() == 0


@pytest.mark.parametrize(
    "text", ["{}", "[1]", "not JSON", '{"catalog": 3}', '{"catalog": "mysql://me:s3cret@h/d"}']
)
def test_a_file_that_names_no_catalogue_is_said_to_be_wrong(tmp_path: Path, text: str) -> None:
    (tmp_path / GALLERY_FILE).write_text(text)
    with pytest.raises(GalleryError) as refusal:
        Gallery.open(tmp_path)
    assert "s3cret" not in str(refusal.value)
    assert read_config_fast(tmp_path) is None


class Server(SqliteDialect):
    """A dialect whose URLs have hosts and passwords."""

    def resolve(self, url: URL) -> URL:
        return url


def test_a_password_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "server", f"{__name__}:Server")
    with pytest.raises(NoSuchModuleError) as refusal:  # it is no database of SQLAlchemy's
        Gallery.create(tmp_path, spec(), catalog_url="server://me:s3cret@host/shop")
    assert "s3cret" not in str(refusal.value)
    assert not is_gallery(tmp_path)
    location._name_url(tmp_path, make_url("server://me:s3cret@host/shop"))
    assert stat.S_IMODE((tmp_path / GALLERY_FILE).stat().st_mode) == 0o600


def test_a_password_is_never_shown_and_makes_no_other_catalogue(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DIALECTS, "server", f"{__name__}:Server")
    url = "server://me:s3cret@host/shop"
    location._name_url(tmp_path, make_url(url))
    location.check_catalog_url(tmp_path, url)
    location.check_catalog_url(tmp_path, url.replace("s3cret", "changed"))
    other = "server://me:s3cret@host/other"
    refused = cbir("index", folder, "-g", tmp_path, "--catalog-url", other)
    assert refused.code == 1
    assert "server://me:***@host/shop, not at server://me:***@host/other" in refused.err
    assert "s3cret" not in refused.out + refused.err
