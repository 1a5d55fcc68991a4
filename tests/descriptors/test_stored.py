"""Descriptors are made once, and never outlive the content they were made from."""

from pathlib import Path

import pytest
from conftest import save_gradients
from factories import encode, picture
from rows import rounded

from cbir import Gallery, Retriever, index_images
from cbir.catalog.catalog import Catalog
from cbir.descriptors import Descriptor, ensure_descriptors
from cbir.errors import CbirError, GalleryError
from cbir.reranking import open_reranker
from cbir.types import DescriptorRow


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every image that is decoded to be described."""
    calls: list[int] = []
    describe = Descriptor.describe

    def count(descriptor: Descriptor[object], data: bytes) -> object:
        calls.append(len(data))
        return describe(descriptor, data)

    monkeypatch.setattr(Descriptor, "describe", count)
    return calls


def ids(gallery: Gallery) -> list[int]:
    return [record.id for record, _ in gallery.catalog.scan()]


@pytest.mark.parametrize("method", ["sift", "orb", "ssim"])
def test_a_second_search_describes_only_its_query(
    views: Path, retriever: Retriever, decoded: list[int], method: str
) -> None:
    reranker = open_reranker(method, retriever.gallery)
    first = retriever.search(views / "query.png", rerank=reranker)
    assert len(decoded) == 5 + 1
    decoded.clear()
    second = retriever.search(views / "query.png", rerank=reranker)
    assert len(decoded) == 1
    assert rounded(first.hits) == rounded(second.hits)
    decoded.clear()
    retriever.search(ids(retriever.gallery)[0], rerank=reranker)
    assert decoded == []


@pytest.mark.parametrize("method", ["sift", "orb", "grey", "colour"])
def test_they_are_made_ahead_and_are_small(
    stocked: Gallery, decoded: list[int], method: str
) -> None:
    done: list[int] = []
    assert ensure_descriptors(stocked.catalog, method, ids(stocked)[:2]) == []
    assert len(decoded) == 2
    assert ensure_descriptors(stocked.catalog, method, progress=done.append) == []
    assert len(decoded) == 5
    assert done[-1] == 3
    stored = stocked.catalog.descriptors(ids(stocked), method)
    assert len(stored) == 5
    assert max(map(len, stored.values())) <= 100_000
    assert stocked.catalog.without_descriptors(method) == []


def test_a_run_that_was_interrupted_goes_on(stocked: Gallery, decoded: list[int]) -> None:
    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_descriptors(stocked.catalog, "orb", images_per_commit=2, progress=interrupt)
    assert len(stocked.catalog.without_descriptors("orb")) == 3
    decoded.clear()
    ensure_descriptors(stocked.catalog, "orb")
    assert len(decoded) == 3


def test_what_cannot_be_read_is_reported(stocked: Gallery, shelf: Path) -> None:
    (shelf / "rocket.png").unlink()
    (failed,) = ensure_descriptors(stocked.catalog, "grey")
    assert failed.uri == str(shelf / "rocket.png")
    assert failed.reason == "cannot be read: No such file or directory"
    assert len(stocked.catalog.without_descriptors("grey")) == 1


def test_they_go_with_the_image_and_with_its_content(stocked: Gallery, shelf: Path) -> None:
    for method in ("grey", "orb"):
        ensure_descriptors(stocked.catalog, method)
    rocket = stocked.find(str(shelf / "rocket.png")).id
    coffee = stocked.find(str(shelf / "coffee.png")).id
    before = stocked.catalog.descriptors([coffee], "grey")
    (shelf / "coffee.png").write_bytes(encode(picture(64, 64)))
    index_images(shelf, stocked)
    assert stocked.catalog.descriptors([coffee], "grey") == {}
    assert stocked.catalog.descriptors([coffee], "orb") == {}
    stocked.remove([rocket])
    assert stocked.catalog.descriptors([rocket], "grey") == {}
    assert len(stocked.catalog.descriptors(ids(stocked), "grey")) == 3
    ensure_descriptors(stocked.catalog, "grey")
    assert stocked.catalog.descriptors([coffee], "grey") != before


def test_they_stay_when_only_a_name_or_metadata_changes(
    shelf: Path, gallery: Gallery, decoded: list[int]
) -> None:
    feed = shelf / "feed.csv"
    feed.write_text("path,price\nrocket.png,1\n")
    index_images(feed, gallery)
    ensure_descriptors(gallery.catalog, "grey")
    feed.write_text("path,price\nrocket.png,2\n")
    assert index_images(feed, gallery).updated == 1
    assert gallery.catalog.without_descriptors("grey") == []


def test_those_of_vanished_or_changed_images_are_not_written(
    tmp_path: Path, gallery: Gallery
) -> None:
    save_gradients(tmp_path / "colours")
    index_images(tmp_path / "colours", gallery)
    known = gallery.catalog.indexed_images([str(tmp_path / "colours" / "red.png")])
    (red,) = known.values()
    rows = [
        DescriptorRow(red.id, red.content_hash, b"right"),
        DescriptorRow(1 + red.id % 4, b"other content", b"wrong"),
        DescriptorRow(99, b"", b"wrong"),
    ]
    gallery.catalog.write_descriptors("test", rows)
    gallery.catalog.write_descriptors("test", rows)
    assert gallery.catalog.descriptors([1, 2, 3, 4, 99], "test") == {red.id: b"right"}


def test_damaged_ones_are_made_anew(views: Path, retriever: Retriever, decoded: list[int]) -> None:
    gallery = retriever.gallery
    ensure_descriptors(gallery.catalog, "sift")
    known = gallery.catalog.indexed_images([record.uri for record, _ in gallery.catalog.scan()])
    damaged = [DescriptorRow(k.id, k.content_hash, b"cblf of another time") for k in known.values()]
    gallery.catalog.write_descriptors("sift", damaged)
    decoded.clear()
    result = retriever.search(views / "query.png", rerank=open_reranker("sift", gallery))
    assert result.hits[0].image.name == "coffee.png"
    assert len(decoded) == 6


def test_a_gallery_that_cannot_be_written_to_is_searched_all_the_same(
    views: Path, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise GalleryError("attempt to write a readonly database")

    monkeypatch.setattr(Catalog, "write_descriptors", refuse)
    reranker = open_reranker("sift", retriever.gallery)
    result = retriever.search(views / "query.png", rerank=reranker)
    assert result.hits[0].image.name == "coffee.png"


def test_an_unknown_method_is_an_error(gallery: Gallery) -> None:
    with pytest.raises(CbirError, match="no descriptors 'surf'; there are sift, orb, grey"):
        ensure_descriptors(gallery.catalog, "surf")
    assert Retriever(gallery).search(encode(picture())).hits == ()
