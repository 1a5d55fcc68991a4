"""The int8 network of a gallery: made from its own images, named in its configuration."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.embedding import load_embedder
from cbir.errors import BackboneError
from cbir.indexing import calibrate

pytest.importorskip("nncf", reason="pip install 'cbir[int8]' brings it")

INDEX = "from cbir.cli import main; main()"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(40):
        data = encode(picture(120, 100, seed=number), "JPEG")
        (folder / f"{number:02}.jpg").write_bytes(data)
    (folder / "00.jpg").write_bytes(b"\xff\xd8\xff not an image")
    return folder


@pytest.fixture(scope="module")
def indexed(session_cache: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that the command has indexed in int8; one of its 40 files cannot be read."""
    path = tmp_path_factory.mktemp("int8") / "gallery"
    run = subprocess.run(
        [sys.executable, "-c", INDEX, "index", pictures, "-g", path, "--input-size", "64",
         "--precision", "int8", "--json"],
        capture_output=True,
        text=True,
        env={"CBIR_CACHE_DIR": str(session_cache), "PATH": "/usr/bin:/bin", "HOME": str(path)},
        timeout=600,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (3, "")
    assert json.loads(run.stdout)["added"] == 39
    return path


def test_what_a_gallery_was_indexed_with_embeds_its_queries(indexed: Path, pictures: Path) -> None:
    with Gallery.open(indexed) as gallery:
        assert gallery.config.calibration is not None
        assert gallery.embedder(device="cpu").describe() == "openvino int8, 1 stream"
        embedder = gallery.embedder(device="cpu")
        hits = Retriever(gallery, embedder=embedder).search(pictures / "07.jpg", k=1).hits
    assert (hits[0].image.name, round(hits[0].similarity, 2)) == ("07.jpg", 1.0)


def test_queries_in_fp32_find_the_same(indexed: Path, pictures: Path) -> None:
    with Gallery.open(indexed) as gallery:
        embedder = gallery.embedder(device="cpu", precision="fp32")
        assert embedder.describe() == "openvino fp32, 1 stream"
        hits = Retriever(gallery, embedder=embedder).search(pictures / "07.jpg", k=1).hits
    assert hits[0].image.name == "07.jpg"
    assert hits[0].similarity > 0.95


def test_a_lost_int8_network_is_done_without_and_made_again(
    indexed: Path,
    pictures: Path,
    session_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = tmp_path / "cache" / "networks"
    shutil.copytree(session_cache / "networks", cache, ignore=shutil.ignore_patterns("*-int8-*"))
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "cache"))
    with Gallery.open(indexed) as gallery:
        before = gallery.config
        assert "int8" not in gallery.embedder(device="cpu").describe()
        assert "'cbir index SOURCE --precision int8' makes one again" in caplog.text
        with pytest.raises(BackboneError, match="makes one"):
            gallery.embedder(device="cpu", precision="int8").describe()
        calibrate(pictures, gallery)
        assert gallery.config == before
        assert "int8" in gallery.embedder(device="cpu").describe()


def test_too_few_images_say_so_and_leave_the_gallery_as_it_is(
    indexed: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(encode(picture()))
    spec, weights = resolve_spec(input_size=64)
    with Gallery.create(tmp_path / "gallery", spec, weights_from=weights) as gallery:
        with pytest.raises(BackboneError, match=r"int8 needs 32 images .* there are 1"):
            calibrate(tmp_path / "photos", gallery)
        assert gallery.config.calibration is None


def test_a_backbone_without_a_network_is_indexed_all_the_same(
    folder: Path, gallery: Gallery
) -> None:
    calibrate(folder, gallery)
    assert index_images(folder, gallery).added == 6
    assert gallery.config.calibration is None


def test_torch_has_no_int8(indexed: Path) -> None:
    with Gallery.open(indexed) as gallery:
        spec, calibration = gallery.spec, gallery.config.calibration
    with pytest.raises(BackboneError, match="torch has no precision 'int8'"):
        load_embedder(
            spec, device="cpu", runtime="torch", precision="int8", calibration=calibration
        )


def test_int8_embeddings_are_near_to_exact_ones(indexed: Path) -> None:
    with Gallery.open(indexed) as gallery:
        spec, calibration = gallery.spec, gallery.config.calibration
    images = [np.asarray(picture(64, 64, seed=seed)) for seed in range(90, 98)]
    coarse = load_embedder(spec, device="cpu", calibration=calibration).embed(images)
    exact = load_embedder(spec, device="cpu", precision="fp32").embed(images)
    assert (coarse * exact).sum(axis=1).mean() > 0.95
