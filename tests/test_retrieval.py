from pathlib import Path

import numpy as np
import pytest
from factories import encode, names, plain
from PIL import Image

from cbir import Gallery, Retriever, index_images
from cbir.errors import ImageError, NotFoundError


def test_alike_images_come_first(colours: Path, gallery: Gallery) -> None:
    result = Retriever(gallery).search(colours / "red.png", k=2)
    assert names(result) == ["red.png", "pink.png"]
    assert [hit.rank for hit in result.hits] == [1, 2]
    assert result.hits[0].similarity >= 0.999
    assert result.hits[0].similarity > result.hits[1].similarity
    assert result.query == str(colours / "red.png")
    assert set(result.timings_ms) == {"embed", "search", "total"}


def test_every_kind_of_query_gives_the_same_answer(colours: Path, gallery: Gallery) -> None:
    path = colours / "blue.png"
    retriever = Retriever(gallery)
    expected = names(retriever.search(path))
    for query in (str(path), path.read_bytes(), Image.open(path)):
        assert names(retriever.search(query)) == expected


def test_an_image_of_the_gallery_is_not_its_own_hit(colours: Path, gallery: Gallery) -> None:
    red = gallery.find(str(colours / "red.png"))
    result = Retriever(gallery).search(red.id, k=10)
    assert names(result)[0] == "pink.png"
    assert len(result.hits) == 3
    assert result.query == f"id:{red.id}"


def test_a_query_by_id_opens_no_network(
    colours: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("a network was opened")

    monkeypatch.setattr("cbir.gallery.embedder_for", fail)
    assert Retriever(gallery).search(1, k=1).hits


def test_k_larger_than_the_gallery_gives_all_of_it(colours: Path, gallery: Gallery) -> None:
    assert len(Retriever(gallery).search(colours / "red.png", k=100).hits) == 4


def test_an_empty_gallery_gives_an_empty_result(gallery: Gallery) -> None:
    assert Retriever(gallery).search(encode(plain("red"))).hits == ()


def test_images_added_elsewhere_are_found_at_once(
    colours: Path, gallery: Gallery, tmp_path: Path
) -> None:
    retriever = Retriever(gallery)
    retriever.search(1)
    with Gallery.open(gallery.path) as other:
        plain("black", 40, 40).save(tmp_path / "black.png")
        index_images(tmp_path / "black.png", other)
        other.remove([other.find(str(colours / "red.png")).id])
    found = names(retriever.search(colours / "red.png"))
    assert "black.png" in found
    assert "red.png" not in found


@pytest.mark.parametrize(
    ("query", "reason"),
    [("/nowhere.jpg", "No such file"), (b"", "empty"), (b"text", "not an image")],
)
def test_a_query_that_is_no_image_is_an_error(
    gallery: Gallery, query: str | bytes, reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        Retriever(gallery).search(query)


def test_an_unknown_id_is_an_error(gallery: Gallery) -> None:
    with pytest.raises(NotFoundError, match="no image 12"):
        Retriever(gallery).search(12)


def test_k_must_be_positive(colours: Path, gallery: Gallery) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Retriever(gallery).search(1, k=0)


def test_a_query_of_the_wrong_dimension_is_an_error(colours: Path, gallery: Gallery) -> None:
    with pytest.raises(ValueError, match=r"not \(Q, 3072\)"):
        gallery.search(np.zeros((1, 5), np.float32), 3)


def test_a_search_sends_few_statements(
    colours: Path, gallery: Gallery, statements: list[str]
) -> None:
    retriever = Retriever(gallery)
    retriever.search(colours / "red.png")
    statements.clear()
    retriever.search(colours / "red.png")
    assert len([s for s in statements if s.startswith("SELECT")]) <= 3
