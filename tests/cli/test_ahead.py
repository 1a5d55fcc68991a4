"""The network that a search opens before everything else has been imported."""

from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import cbir

from cbir import Gallery, index_images, resolve_spec
from cbir.cli import ahead
from cbir.storage.peek import CATALOG, peek_config


def test_what_is_peeked_at_is_the_configuration(gallery: Gallery) -> None:
    assert peek_config(gallery.path) == gallery.config


@pytest.mark.parametrize("trouble", ["no folder", "empty", "damaged", "foreign"])
def test_there_is_nothing_to_peek_at(tmp_path: Path, trouble: str) -> None:
    folder = tmp_path / "a gallery? 100%"
    if trouble != "no folder":
        folder.mkdir()
    if trouble == "damaged":
        (folder / CATALOG).write_bytes(b"SQLite format 3\0" + bytes(5000))
    if trouble == "foreign":
        (folder / CATALOG).write_text("not a database, but long enough to be looked at twice")
    assert peek_config(folder) is None
    assert ahead.open_ahead(folder).embedder(resolve_spec("tiny_image")[0]) is None
    assert not (tmp_path / "no folder").exists()


def test_an_embedder_of_another_space_is_not_taken(gallery: Gallery) -> None:
    other, _ = resolve_spec()
    opened = ahead.open_ahead(gallery.path)
    assert opened.embedder(other) is None
    embedder = opened.embedder(gallery.spec)
    assert embedder is not None
    assert embedder.spec == gallery.spec


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

    monkeypatch.setattr(ahead, "embedder_for", counting("ahead", fails))
    monkeypatch.setattr("cbir.gallery.embedder_for", counting("gallery", False))
    run = cbir("search", folder / "even" / "2.png", "-g", gallery.path, "-k", "1")
    assert run.code == 0, run.err
    assert "2.png" in run.out
    assert opened == (["ahead", "gallery"] if fails else ["ahead"])
    opened.clear()
    assert cbir("search", "id:1", "-g", gallery.path).code == 0
    assert opened == []
