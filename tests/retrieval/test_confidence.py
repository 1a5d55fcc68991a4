"""What a similarity means: how many unrelated images would be as similar by chance."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from factories import picture, unprivileged
from PIL import Image
from rows import batch, row, spec
from terminal import cbir

from cbir import Gallery, Retriever, index_images
from cbir.config import Whitening
from cbir.indexes.background import SIZE, draw
from cbir.retrieval.confidence import MATCH, MIN_IMAGES, SAME, Scale, scale_of
from cbir.types import Word

DIM = 64
GROUPS = 40
SAME_OBJECT = "very likely the same object"

Make = Callable[..., Gallery]


def groups(*, each: int, spread: float, count: int = GROUPS, seed: int = 0) -> np.ndarray:
    """Unit vectors in groups around centres of their own, and all in one cone: (count, each, D)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 1, DIM)) + 1.0
    vectors = centres + spread * rng.normal(size=(count, each, DIM))
    return np.asarray((vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes galleries of vectors (N, D); images are called by their rows."""

    def gallery(vectors: np.ndarray, name: str = "made") -> Gallery:
        made = Gallery.create(tmp_path / name, spec(DIM))
        add(made, vectors)
        return made

    return gallery


def add(gallery: Gallery, vectors: np.ndarray, *, first: int = 0) -> None:
    rows = [row(f"/{number}.png", vector) for number, vector in enumerate(vectors, first)]
    gallery.write("/", batch(*rows))
    gallery.image_index()


def words(gallery: Gallery, vectors: np.ndarray) -> list[Word]:
    """What is said of the best hit for each of these vectors (Q, D)."""
    best = gallery.search(vectors, 1).similarities[:, 0].tolist()
    said = []
    for vector, similarity in zip(vectors, best, strict=True):
        scale = scale_of(gallery, vector[None])
        assert scale is not None
        said.append(scale.confidence(similarity).word)
    return said


@pytest.mark.parametrize("whitening", [None, Whitening()])
def test_what_is_absent_is_no_match_and_what_is_there_is(
    make: Make, whitening: Whitening | None
) -> None:
    vectors = groups(each=4, spread=0.3)
    with make(vectors[:, 1:].reshape(-1, DIM)) as gallery:
        gallery.whiten(whitening)
        assert set(words(gallery, vectors[:, 0])) <= {SAME_OBJECT, "similar"}
        strangers = groups(each=1, spread=0.0, count=200, seed=1)[:, 0]
        assert words(gallery, strangers).count("weak") >= 0.95 * len(strangers)


def test_more_similar_never_means_less() -> None:
    scale = Scale(count=1000, background=0.4)
    similarities = np.linspace(-1, 1, 401).tolist()
    found = [scale.confidence(similarity) for similarity in similarities]
    assert all(a.p_value >= b.p_value for a, b in pairwise(found))
    assert [one.word for one in found] == sorted(
        (one.word for one in found), key=["weak", "similar", SAME_OBJECT].index
    )
    assert {one.word for one in found} == {"weak", "similar", SAME_OBJECT}
    assert found[0].p_value == 1
    assert scale.confidence(0.4).p_value == pytest.approx(0.1)
    assert 0 < found[-1].expected < 1e-10


@pytest.mark.parametrize(("cut", "word"), [(SAME, SAME_OBJECT), (MATCH, "similar")])
def test_a_band_begins_where_so_many_unrelated_images_are_expected(cut: float, word: str) -> None:
    scale = Scale(count=1000, background=0.4)
    least = scale.threshold(cut)
    assert scale.confidence(least).expected == pytest.approx(cut, rel=1e-3)
    assert scale.confidence(least).word == word
    assert scale.confidence(least - 1e-6).word != word


def test_in_a_larger_gallery_a_similarity_means_less() -> None:
    small, large = Scale(count=100, background=0.4), Scale(count=10_000, background=0.4)
    assert small.confidence(0.8).p_value == large.confidence(0.8).p_value
    assert large.confidence(0.8).expected == pytest.approx(100 * small.confidence(0.8).expected)
    assert large.threshold(MATCH) > small.threshold(MATCH)


@pytest.mark.parametrize("count", [0, 1, 3, 20, MIN_IMAGES - 1])
def test_few_images_say_nothing(make: Make, count: int) -> None:
    vectors = groups(each=1, spread=0.0, count=MIN_IMAGES)[:, 0]
    with make(vectors[:count]) as gallery:
        assert scale_of(gallery, vectors[:1]) is None
        add(gallery, vectors[count:], first=count)
        assert scale_of(gallery, vectors[:1]) is not None


def test_among_copies_of_one_image_nothing_is_unusual(make: Make) -> None:
    vector = groups(each=1, spread=0.0, count=1)[0]
    with make(np.repeat(vector, 100, axis=0)) as gallery:
        assert words(gallery, vector) == ["weak"]
        copies = groups(each=100, spread=0.02, count=1)[0]
    with make(copies, "near") as gallery:
        others = groups(each=150, spread=0.02, count=1)[0][100:]
        assert words(gallery, others).count("weak") >= 0.95 * len(others)


def test_several_vectors_are_as_many_chances(make: Make) -> None:
    vectors = groups(each=2, spread=0.3, count=60)
    with make(vectors[:, 1]) as gallery:
        one = [scale_of(gallery, vectors[i, :1]) for i in (0, 1)]
        both = scale_of(gallery, vectors[:2, 0])
    assert None not in (*one, both)
    assert both.count == 2 * one[0].count  # type: ignore[union-attr]
    assert both.background == max(scale.background for scale in one)  # type: ignore[union-attr]


def test_it_is_measured_again_when_the_gallery_changes(make: Make) -> None:
    vectors = groups(each=3, spread=0.3).reshape(-1, DIM)
    with make(vectors) as gallery, Gallery.open(gallery.path) as other:
        first = gallery.background()
        gallery.search(vectors[:1], 1)
        assert gallery.background() is first
        other.image_index()
        np.testing.assert_array_equal(other.background().vectors, first.vectors)
        other.remove([1, 2])
        gallery.search(vectors[:1], 1)
        assert gallery.background().count == first.count - 2
        before = scale_of(gallery, vectors[:1])
        other.whiten(Whitening())
        gallery.search(vectors[:1], 1)
        after = scale_of(gallery, vectors[:1])
    assert before is not None
    assert after is not None
    assert after.background < before.background - 0.1  # the cone that all vectors share is gone


def test_the_images_drawn_hardly_change_with_the_gallery(make: Make) -> None:
    vectors = np.random.default_rng(0).normal(size=(3 * SIZE, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with make(vectors) as gallery:
        before = gallery.background().vectors
        assert before.shape == (SIZE, DIM)
        gallery.remove(range(1, 31))
        after = draw(gallery.image_index()).vectors
    kept = {vector.tobytes() for vector in before} & {vector.tobytes() for vector in after}
    assert len(kept) >= SIZE - 30


@pytest.fixture
def pictures(tmp_path: Path, gallery: Gallery) -> Path:
    """Sixty pictures without relatives, indexed; the first is there once more, a little altered."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(60):
        picture(32, 32, seed=number).save(folder / f"{number:02d}.png")
    altered = Image.blend(picture(32, 32, seed=0), picture(32, 32, seed=77), 0.15)
    altered.save(folder / "altered.png")
    index_images(folder, gallery)
    gallery.whiten(Whitening())
    picture(32, 32, seed=999).save(tmp_path / "stranger.png")
    return folder


def test_a_search_says_whether_anything_matches(
    pictures: Path, gallery: Gallery, tmp_path: Path
) -> None:
    retriever = Retriever(gallery)
    known = retriever.search(pictures / "00.png")
    assert known.matched
    said = [hit.confidence.word for hit in known.hits if hit.confidence is not None]
    assert said == [SAME_OBJECT] * 2 + ["weak"] * 8
    assert [hit.image.name for hit in known.hits[:2]] == ["00.png", "altered.png"]
    stranger = retriever.search(tmp_path / "stranger.png")
    assert stranger.matched is False
    assert len(stranger.hits) == 10
    beyond = retriever.search(pictures / "00.png", k=3, offset=5)
    assert beyond.matched
    assert {hit.confidence.word for hit in beyond.hits if hit.confidence} == {"weak"}


def test_matches_only(pictures: Path, gallery: Gallery, tmp_path: Path) -> None:
    retriever = Retriever(gallery)
    query = pictures / "00.png"
    only = retriever.search(query, matches_only=True)
    assert [hit.image.name for hit in only.hits] == ["00.png", "altered.png"]
    assert retriever.search(query, matches_only=True, min_similarity=0.9999).matched
    assert len(retriever.search(query, matches_only=True, min_similarity=0.9999).hits) == 1
    none = retriever.search(tmp_path / "stranger.png", matches_only=True)
    assert (none.hits, none.matched) == ((), False)
    gallery.remove([hit.image.id for hit in retriever.search(query, k=61).hits[20:]])
    few = retriever.search(query, matches_only=True)
    assert len(few.hits) == 10
    assert few.matched is None


def test_queries_of_every_kind_are_judged(pictures: Path, gallery: Gallery) -> None:
    retriever = Retriever(gallery)
    first, second = pictures / "00.png", pictures / "01.png"
    best = retriever.search([first, second], combine="best", k=4)
    assert [hit.confidence and hit.confidence.word for hit in best.hits] == (
        [SAME_OBJECT] * 3 + ["weak"]
    )
    away = retriever.search(first, unwanted=[second])
    assert away.matched
    assert away.hits[0].image.name in ("00.png", "altered.png")
    assert retriever.search([first, second]).matched is not None
    assert retriever.search(first, crop=(0, 0, 1, 1)).matched
    assert retriever.search(gallery.find(str(first)).id).hits[0].image.name == "altered.png"


def test_a_gallery_that_cannot_be_written(pictures: Path, gallery: Gallery) -> None:
    Retriever(gallery).search(1)  # the index file is up to date
    before = {path: path.stat().st_mtime_ns for path in gallery.path.rglob("*.*")}
    for path in (gallery.path, *gallery.path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with unprivileged():
            assert Retriever(gallery).search(gallery.find(str(pictures / "00.png")).id).matched
    finally:
        for path in (gallery.path, *gallery.path.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_command(pictures: Path, gallery: Gallery, tmp_path: Path) -> None:
    known, stranger = pictures / "00.png", tmp_path / "stranger.png"
    lines = cbir("search", known, "-g", gallery.path, "-k", "3").out.splitlines()
    assert lines[0].split() == ["#", "similarity", "confidence", "id", "image"]
    assert re.search(rf"  {SAME_OBJECT}  +\d+  00.png$", lines[1])
    assert re.search(r"  weak  +\d+  \d\d.png$", lines[3])
    lines = cbir("search", stranger, "-g", gallery.path, "-k", "3").out.splitlines()
    assert lines[0] == "no confident match; the most similar images are"
    assert len(lines) == 6
    only = "-g", gallery.path, "--matches-only"
    assert cbir("search", known, *only).out.count(".png") == 2
    assert cbir("search", stranger, *only).out.startswith(
        "no confident match; without --matches-only"
    )
    answer = json.loads(cbir("search", known, *only, "--json").out)
    assert (answer["matched"], answer["matches_only"]) == (True, True)
    first = answer["hits"][0]["confidence"]
    assert first["word"] == SAME_OBJECT
    assert first["expected_unrelated"] == pytest.approx(61 * first["p_value"], rel=1e-3)
    answer = json.loads(cbir("search", stranger, *only, "--json").out)
    assert (answer["matched"], answer["hits"]) == (False, [])
    sheet = tmp_path / "sheet.html"
    cbir("search", stranger, "-g", gallery.path, "--html", sheet)
    assert "<p>no confident match; the most similar images are</p>" in sheet.read_text()
    cbir("search", known, "-g", gallery.path, "--html", sheet)
    assert f"{SAME_OBJECT}</span>" in sheet.read_text()
    assert "no confident match" not in sheet.read_text()


def test_a_small_gallery_has_no_such_column(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    assert "confidence" not in cbir("search", "id:1", "-g", gallery.path).out
    answer = json.loads(cbir("search", "id:1", "-g", gallery.path, "--json").out)
    assert answer["matched"] is None
    assert {hit["confidence"] for hit in answer["hits"]} == {None}
