"""Several processes create one gallery at once: one does, the others join it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from terminal import cbir

from cbir import Gallery, resolve_spec, verify_gallery
from cbir.cli.embedding_space import SpaceOptions
from cbir.errors import GalleryExistsError, SpecMismatchError

AT_ONCE = 4


@pytest.mark.parametrize("elsewhere", [False, True])
def test_threads_create_one_gallery(tmp_path: Path, elsewhere: bool) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db" if elsewhere else None
    start, spec = Barrier(AT_ONCE), resolve_spec("tiny_image")[0]

    def create(exist_ok: bool) -> str:
        start.wait()
        path = tmp_path / "gallery"
        with Gallery.create(path, spec, catalog_url=url, exist_ok=exist_ok) as gallery:
            return gallery.catalog.gallery_id

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert len(set(pool.map(create, [True] * AT_ONCE))) == 1
    assert Gallery.open(tmp_path / "gallery").catalog.gallery_id


def test_without_exist_ok_one_of_them_succeeds(tmp_path: Path) -> None:
    start, spec = Barrier(AT_ONCE), resolve_spec("tiny_image")[0]

    def create(_: int) -> bool:
        start.wait()
        try:
            url = f"sqlite:///{tmp_path}/catalog.db"
            Gallery.create(tmp_path / "gallery", spec, catalog_url=url).close()
        except GalleryExistsError:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert sum(pool.map(create, range(AT_ONCE))) == 1
    Gallery.open(tmp_path / "gallery").close()  # its file that names the URL is still there


def test_another_spec_cannot_join(tmp_path: Path) -> None:
    Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]).close()
    with pytest.raises(SpecMismatchError, match="flip"):
        Gallery.create(tmp_path / "g", resolve_spec("tiny_image", flip=True)[0], exist_ok=True)
    with pytest.raises(GalleryExistsError):
        Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_commands_index_into_one_new_gallery(folder: Path, tmp_path: Path, elsewhere: bool) -> None:
    command = [sys.executable, "-m", "cbir", "index", str(folder), "-g", f"{tmp_path}/g"]
    command += ["--backbone", "tiny_image"]
    command += ["--catalog-url", f"sqlite:///{tmp_path}/catalog.db"] if elsewhere else []
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(run.communicate()[1], run.returncode) for run in runs] == [("", 0)] * 2
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.count() == 6
        assert verify_gallery(gallery).ok


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], ""),
        (["--backbone", "tiny_image"], ""),
        (["--backbone", "efficientnet_lite0"], "cannot be compared (backbone: tiny_image against"),
        (["--index", "hnsw"], "has a vector index of kind auto"),
    ],
)
def test_a_gallery_created_in_between(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    reason: str,
) -> None:
    spec = SpaceOptions.spec

    def meanwhile(space: SpaceOptions, current: Any) -> Any:
        Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0], exist_ok=True).close()
        return spec(space, current)

    monkeypatch.setattr(SpaceOptions, "spec", meanwhile)
    run = cbir("index", folder, "-g", tmp_path / "g", *options)
    assert run.code == bool(reason)
    assert reason in run.err
