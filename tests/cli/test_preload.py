"""The network that a search opens before everything else has been imported."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from factories import picture
from PIL.JpegImagePlugin import JpegImageFile
from terminal import cbir

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.catalog.location import read_config_fast
from cbir.cli import preload
from cbir.config import CATALOG_FILE, MULTI_CROP
from cbir.embedding.backbones.tiny_image import TinyImageEmbedder


def test_what_is_peeked_at_is_the_configuration(gallery: Gallery) -> None:
    assert read_config_fast(gallery.path) == gallery.config


@pytest.mark.parametrize("trouble", ["no folder", "empty", "damaged", "foreign"])
def test_there_is_nothing_to_peek_at(tmp_path: Path, trouble: str) -> None:
    folder = tmp_path / "a gallery? 100%"
    if trouble != "no folder":
        folder.mkdir()
    if trouble == "damaged":
        (folder / CATALOG_FILE).write_bytes(b"SQLite format 3\0" + bytes(5000))
    if trouble == "foreign":
        (folder / CATALOG_FILE).write_text("not a database, but long enough to be looked at twice")
    assert read_config_fast(folder) is None
    assert preload.start_preload(folder).result(resolve_spec("tiny_image")[0]) is None
    assert not (tmp_path / "no folder").exists()


def test_an_embedder_of_another_space_is_not_taken(gallery: Gallery) -> None:
    other, _ = resolve_spec()
    opened = preload.start_preload(gallery.path)
    assert opened.result(other) is None
    preloaded = opened.result(gallery.spec)
    assert preloaded is not None
    assert preloaded.embedder.spec == gallery.spec
    assert preloaded.embedding is None


@pytest.mark.parametrize("fails", [False, True])
def test_a_search_opens_its_network_once(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    index_images(folder, gallery)
    opened: list[str] = []

    def counting(name: str, fail: bool) -> Callable[..., object]:
        from cbir.embedding import embedder_for

        def load(*arguments: object, **options: object) -> object:
            opened.append(name)
            if fail:
                raise RuntimeError("it is not to be had")
            return embedder_for(*arguments, **options)  # type: ignore[arg-type]

        return load

    monkeypatch.setattr(preload, "embedder_for", counting("preload", fails))
    monkeypatch.setattr("cbir.gallery.embedder_for", counting("gallery", False))
    run = cbir("search", folder / "even" / "2.png", "-g", gallery.path, "-k", "1")
    assert run.code == 0, run.err
    assert "2.png" in run.out
    assert opened == (["preload", "gallery"] if fails else ["preload"])
    opened.clear()
    assert cbir("search", "id:1", "-g", gallery.path).code == 0
    assert opened == []


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the network was given, call by call."""
    seen: list[int] = []
    embed = TinyImageEmbedder.embed

    def counting(self: TinyImageEmbedder, images: Sequence[Any]) -> Any:
        seen.append(len(images))
        return embed(self, images)

    monkeypatch.setattr(TinyImageEmbedder, "embed", counting)
    return seen


def test_the_network_first_runs_on_the_image_that_is_asked_about(
    folder: Path, gallery: Gallery, runs: list[int]
) -> None:
    index_images(folder, gallery)
    image = folder / "even" / "2.png"
    expected = [hit.similarity for hit in Retriever(gallery).search(image, k=6).hits]
    runs.clear()
    found = cbir("search", image, "-g", gallery.path, "-k", "6", "--json")
    hits = json.loads(found.out)["hits"]
    assert [hit["similarity"] for hit in hits] == pytest.approx(expected, abs=1e-6)
    assert runs == [1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{even}", "{odd}"], [1, 2]),  # together they are another batch
        (["{even}", "--crop", "0,0,0.5,0.5"], [1, 1]),  # first of all, something blank
        (["-"], [1, 1]),
        (["{even}", "--not", "{odd}"], [1, 1]),
    ],
)
def test_what_was_not_seen_ahead_is_embedded_as_ever(
    folder: Path, gallery: Gallery, runs: list[int], arguments: list[str], expected: list[int]
) -> None:
    index_images(folder, gallery)
    runs.clear()
    names = {"even": folder / "even" / "2.png", "odd": folder / "odd" / "3.png"}
    given = [argument.format_map(names) for argument in arguments]
    run = cbir("search", *given, "-g", gallery.path, stdin=names["even"].read_bytes())
    assert run.code == 0, run.err
    assert runs == expected


def test_an_image_that_cannot_be_read_is_told_as_ever(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    for name, reason in (("missing.png", "No such file"), ("broken.png", "not an image")):
        path = folder / name
        if name == "broken.png":
            path.write_bytes(b"broken")
        run = cbir("search", path, "-g", gallery.path)
        assert run.code == 1
        assert reason in run.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["{photo}"],
        ["{photo}", "--crop", "100,50,300,200"],
        ["{photo}", "--combine", "best"],
        ["{photo}", "--multi-crop"],
        ["{photo}", "--not", "id:1"],
        ["-"],
    ],
)
def test_a_query_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Also a file of several megabytes."""
    photo = tmp_path / "photo.jpg"
    picture(1600, 1200).save(photo, quality=100, subsampling=0)
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "g", spec, regions=MULTI_CROP) as gallery:
        index_images(photo, gallery)
    decoded: list[str] = []
    prepare = JpegImageFile.load_prepare

    def counting(image: JpegImageFile) -> None:
        decoded.append(str(image.size))
        prepare(image)

    monkeypatch.setattr(JpegImageFile, "load_prepare", counting)
    given = [argument.format(photo=photo) for argument in arguments]
    run = cbir("search", *given, "-g", tmp_path / "g", "--json", stdin=photo.read_bytes())
    assert run.code == 0, run.err
    assert len(decoded) == 1
    assert json.loads(run.out)["timings_ms"]["embed"] > 0
