"""A gallery that can only be read is searched, checked, exported and served as any other."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from sqlite3 import connect

import pytest
from factories import picture
from readonly import only_readable
from serving import running
from terminal import cbir
from test_old_galleries import FIXTURES

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.catalog.location import read_config_fast
from cbir.config import CATALOG_FILE
from cbir.errors import GalleryReadOnlyError, GalleryUnavailableError
from cbir.indexes.registry import INDEXES
from cbir.server import Settings, create_app

IMAGES = 60


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a gallery of sixty pictures, which a feed gives kinds and prices."""
    root = tmp_path_factory.mktemp("shop")
    (root / "photos").mkdir()
    rows = ["path,kind,price"]
    for number in range(IMAGES):
        # Every sixth picture is the same as the one before.
        picture(32, 24, seed=number - (number % 6 == 5)).save(root / "photos" / f"{number}.png")
        rows.append(f"photos/{number}.png,{'ab'[number % 2]},{number}")
    (root / "feed.csv").write_text("\n".join(rows))
    with Gallery.create(root / "gallery", resolve_spec("tiny_image")[0]) as gallery:
        assert index_images(root / "feed.csv", gallery).added == IMAGES
    return root


READS = {
    "info": "info",
    "search": "search id:1 -k 5",
    "by file": "search {root}/photos/3.png -k 5",
    "filter": "search id:1 --where kind=a --where price>9 -k 3",
    "rerank": "search id:1 --rerank orb --depth 4 -k 3",
    "recommend": "recommend id:1 --where kind=a",
    "duplicates": "duplicates",
    "verified": "duplicates --verify",
    "verify": "verify",
    "content": "verify --content",
    "evaluate": "evaluate --label kind",
    "plan": "index {root}/feed.csv --dry-run",
}
WRITES = {
    "index": "index {root}/feed.csv",
    "remove": "remove id:1",
    "whiten": "whiten",
    "rebuild": "rebuild",
    "dismiss": "duplicates --dismiss id:1 --dismiss id:2",
    "regions": "index {root}/feed.csv --multi-crop",
}
STATES = ["closed", "log", "log and its index"]


def leave(gallery: Path, target: Path, state: str) -> Path:
    """A copy of a gallery as its last process may have left it, perhaps by being killed."""
    shutil.copytree(gallery, target)
    if state == "closed":
        return target
    with closing(connect(target / CATALOG_FILE)) as connection:
        connection.execute("UPDATE state SET next_image_id = next_image_id")
        connection.commit()
        other = target.with_name("other")
        shutil.copytree(target, other)
    shutil.rmtree(target)
    if state == "log":
        (other / f"{CATALOG_FILE}-shm").unlink()
    return other.rename(target)


def outcome(arguments: str, root: Path, gallery: Path) -> tuple[int, object]:
    """Exit code and answer of a command, without what takes its time."""
    words = arguments.format(root=root).split()
    run = cbir(*words, "-g", gallery, "--json")
    assert run.code == 0, run.err
    return run.code, _untimed(json.loads(run.out))


def _untimed(value: object) -> object:
    if isinstance(value, dict):
        changing = ("seconds", "bytes", "descriptors")
        return {
            k: _untimed(v) for k, v in value.items() if k not in changing and not k.endswith("_ms")
        }
    return [_untimed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("state", STATES)
def test_commands_that_read_answer_as_ever(shop: Path, tmp_path: Path, state: str) -> None:
    gallery = leave(shop / "gallery", tmp_path / "gallery", state)
    names = READS if state == "closed" else ("info", "search", "duplicates")
    with only_readable(gallery):
        frozen = {name: outcome(READS[name], shop, gallery) for name in names}
        config = read_config_fast(gallery)
        exported = cbir("export", "-g", gallery, "--out", tmp_path / "out.npy")
    assert exported.code == 0, exported.err
    assert config == Gallery.open(gallery).config
    for name in names:
        assert frozen[name] == outcome(READS[name], shop, gallery), name


@pytest.mark.parametrize("state", STATES)
def test_commands_that_write_say_why_not(shop: Path, tmp_path: Path, state: str) -> None:
    gallery = leave(shop / "gallery", tmp_path / "gallery", state)
    with only_readable(gallery):
        for name, arguments in WRITES.items():
            run = cbir(*arguments.format(root=shop).split(), "-g", gallery)
            assert run.code == 1, name
            assert run.err.count("\n") == 1, run.err
            assert "can only be read: this user may not write" in run.err
    with Gallery.open(gallery) as opened:
        assert opened.count() == IMAGES


@pytest.mark.parametrize("kind", INDEXES)
@pytest.mark.parametrize("files", ["as they lie", "missing"])
def test_its_index_is_read_or_built_in_memory(
    shop: Path, tmp_path: Path, kind: str, files: str
) -> None:
    path = leave(shop / "gallery", tmp_path / "gallery", "closed")
    with Gallery.open(path) as gallery:
        gallery.rebuild_index(kind)
        expected, built = Retriever(gallery).search(1, k=5), gallery.index().kind
    if files == "missing":
        shutil.rmtree(path / "vectors")
    with only_readable(path), Gallery.open(path) as gallery:
        result = Retriever(gallery).search(1, k=5)
        assert [hit.image.id for hit in result.hits] == [hit.image.id for hit in expected.hits]
        assert gallery.index().kind == built


def test_it_is_served(shop: Path, tmp_path: Path) -> None:
    path = leave(shop / "gallery", tmp_path / "gallery", "closed")
    with only_readable(path), running(create_app(Settings(gallery=path, workers=1))) as http:
        assert len(http.get("/api/v1/images/1/similar").json()["hits"]) == 10
        assert http.get("/api/v1/images/1/thumbnail").status_code == 200
        refused = http.delete("/api/v1/images/1", headers={"X-Requested-With": "test"})
        assert refused.status_code == 409
        assert "can only be read: this user may not write" in refused.json()["detail"]
        assert str(path) not in refused.text


@pytest.fixture
def reader(shop: Path, tmp_path: Path) -> Iterator[tuple[Path, Gallery]]:
    """A gallery opened where it could only be read, and which its owner may change again."""
    path = leave(shop / "gallery", tmp_path / "gallery", "closed")
    with ExitStack() as stack:
        with only_readable(path):
            opened = stack.enter_context(Gallery.open(path))
            assert opened.count() == IMAGES
            assert opened.catalog.generation() > 0
        yield path, opened


def test_what_its_owner_changes_is_seen(reader: tuple[Path, Gallery]) -> None:
    path, opened = reader
    with Gallery.open(path) as owner:
        owner.remove([1, 2])
        assert opened.count() == IMAGES - 2  # from the log
        assert opened.catalog.records([1, 3]).keys() == {3}
    assert opened.count() == IMAGES - 2
    assert 2 not in {hit.image.id for hit in Retriever(opened).search(3, k=IMAGES).hits}


def test_a_change_while_it_is_read_is_no_wrong_answer(reader: tuple[Path, Gallery]) -> None:
    path, opened = reader
    snapshot = opened.catalog.snapshot()
    assert snapshot.__enter__().count == IMAGES
    with Gallery.open(path) as owner:
        owner.remove([1, 2])
    with pytest.raises(GalleryUnavailableError, match="changed by its owner"):
        snapshot.__exit__(None, None, None)
    assert opened.count() == IMAGES - 2


def test_an_error_has_its_own_class(reader: tuple[Path, Gallery], shop: Path) -> None:
    path, _ = reader
    with only_readable(path), Gallery.open(path) as gallery:
        with pytest.raises(GalleryReadOnlyError, match="may not write its file"):
            index_images(shop / "feed.csv", gallery)
        with pytest.raises(GalleryReadOnlyError):
            gallery.remove([1])


def test_a_read_only_mount(shop: Path, tmp_path: Path) -> None:
    path = leave(shop / "gallery", tmp_path / "gallery", "closed")
    mount = f"mount --bind {path} {path} && mount -o remount,ro,bind {path}"
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("this user may not mount")
    command = f"{sys.executable} -m cbir search id:1 -k 2 -g {path}"
    changes = f"touch {path}/x; {command} && {sys.executable} -m cbir remove id:1 -g {path}"
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{mount} && {changes}"], capture_output=True, text=True
    )
    assert "Read-only file system" in run.stderr  # from touch
    assert "5.png" in run.stdout or "photos" in run.stdout
    assert "it can only be read: its file system is mounted read-only" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.returncode == 1


def test_a_gallery_of_an_older_version_is_read_from_a_converted_copy(tmp_path: Path) -> None:
    path = tmp_path / "old"
    shutil.unpack_archive(FIXTURES / "gallery-0.1.0.zip", path)
    before = (path / CATALOG_FILE).read_bytes()
    with only_readable(path):
        frozen = [outcome(f"search id:{i} -k 5", path, path) for i in (1, 2, 3)]
        refused = cbir("remove", "id:1", "-g", path)
    assert (path / CATALOG_FILE).read_bytes() == before
    assert frozen == [outcome(f"search id:{i} -k 5", path, path) for i in (1, 2, 3)]
    assert refused.code == 1
    assert f"{path / CATALOG_FILE}: it can only be read" in refused.err


def test_a_catalogue_that_cannot_be_read(shop: Path, tmp_path: Path) -> None:
    path = leave(shop / "gallery", tmp_path / "gallery", "closed")
    with only_readable(path):
        (path / CATALOG_FILE).chmod(0)
        run = cbir("search", "id:1", "-g", path)
    assert run.code == 1
    assert "this user may not read it; ask its owner" in run.err
