"""What may be asked: several images, unwanted ones, a region."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import encode, names, picture, plain, turned
from PIL import Image

from cbir import Gallery, Retriever, index_images
from cbir.errors import ImageError, NotFoundError
from cbir.images import open_rgb
from cbir.reranking import QueryImage
from cbir.retrieval import Crop
from cbir.retrieval.combination import combine_vectors
from cbir.retrieval.crop import crop_image
from cbir.types import Hit, RerankScore


def test_several_images_are_one_query(colours: Path, gallery: Gallery) -> None:
    retriever = Retriever(gallery)
    both = [colours / "red.png", colours / "blue.png"]
    mean = retriever.search(both)
    assert mean.query == f"{colours / 'red.png'} + {colours / 'blue.png'}"
    assert len(mean.hits) == 4
    # Halfway between two, neither is quite what is asked for; one by one, each is.
    assert mean.hits[0].similarity < 0.999
    best = retriever.search(both, combine="best")
    assert set(names(best)[:2]) == {"red.png", "blue.png"}
    assert best.hits[1].similarity >= 0.999
    assert names(retriever.search([colours / "red.png"])) == names(retriever.search(both[0]))


def test_images_given_by_id_are_no_hits(colours: Path, gallery: Gallery) -> None:
    ids = {name: gallery.find(str(colours / f"{name}.png")).id for name in ("red", "pink", "blue")}
    retriever = Retriever(gallery)
    for combine in ("mean", "best"):
        result = retriever.search([ids["red"], ids["pink"]], combine=combine, k=9)
        assert set(names(result)) == {"blue.png", "green.png"}
    result = retriever.search(ids["red"], unwanted=[ids["blue"]])
    assert names(result) == ["pink.png", "green.png"]
    assert result.query == f"id:{ids['red']}, not id:{ids['blue']}"


def test_unwanted_images_push_away(colours: Path, gallery: Gallery) -> None:
    retriever = Retriever(gallery)
    query, unwanted = colours / "red.png", colours / "pink.png"
    for combine in ("mean", "best"):
        before = {h.image.name: h.similarity for h in retriever.search(query).hits}
        result = retriever.search(query, unwanted=[unwanted], combine=combine)
        after = {h.image.name: h.similarity for h in result.hits}
        assert after["pink.png"] < before["pink.png"]
        assert result.hits[0].image.name == "red.png"


def test_what_is_combined_is_of_unit_length() -> None:
    rows = np.eye(3, dtype=np.float32)
    mean = combine_vectors(rows[:2], rows[:0], "mean")
    np.testing.assert_allclose(mean, [[0.5**0.5, 0.5**0.5, 0]], atol=1e-6)
    np.testing.assert_allclose(combine_vectors(rows[:2], rows[:0], "best"), rows[:2])
    away = combine_vectors(rows[:1], rows[1:2], "mean")
    np.testing.assert_allclose(away[0] / away[0, 0], [1, -0.3, 0], atol=1e-6)
    opposed = np.stack([rows[0], -rows[0]])
    assert not combine_vectors(opposed, rows[:0], "mean").any()


def two_halves(colours: Path) -> Image.Image:
    """Red's picture at the left, green's at the right: 128 × 64."""
    image = Image.new("RGB", (128, 64))
    for place, name in ((0, "red"), (64, "green")):
        image.paste(Image.open(colours / f"{name}.png"), (place, 0))
    return image


@pytest.mark.parametrize(
    ("crop", "found"),
    [
        ((0, 0, 64, 64), "red.png"),
        ((64, 0, 64, 64), "green.png"),
        ((0, 0, 0.5, 1), "red.png"),
        ((0.5, 0, 0.5, 1), "green.png"),
    ],
)
def test_a_region_is_asked_with(colours: Path, gallery: Gallery, crop: Crop, found: str) -> None:
    retriever, image = Retriever(gallery), two_halves(colours)
    for query in (image, encode(image)):
        result = retriever.search(query, crop=crop)
        assert names(result)[0] == found
        assert result.hits[0].similarity >= 0.999
    assert result.query == f"- [{','.join(f'{n:g}' for n in crop)}]"


def test_the_region_is_one_of_the_upright_image(colours: Path, gallery: Gallery) -> None:
    retriever = Retriever(gallery)
    for orientation in range(1, 9):
        stored = turned(two_halves(colours), orientation, "PNG")
        assert names(retriever.search(stored, crop=(64, 0, 64, 64)))[0] == "green.png"


def test_a_region_of_an_image_of_the_gallery(colours: Path, gallery: Gallery) -> None:
    two_halves(colours).save(colours / "two.png")
    index_images(colours, gallery)
    retriever = Retriever(gallery)
    two = gallery.find(str(colours / "two.png")).id
    result = retriever.search(two, crop=(0, 0, 64, 64))
    assert names(result)[0] == "red.png"
    assert "two.png" not in names(result)
    shown = retriever.query_image(two, crop=(0, 0, 64, 60))
    assert shown is not None
    assert open_rgb(shown).size == (64, 60)


@pytest.mark.parametrize(
    ("crop", "says"),
    [
        ((0, 0, 129, 10), "reaches to 129,10 and the image ends at 128,64"),
        ((0.6, 0, 0.5, 1), "reaches to 141,64"),
        ((0, 0, 0, 10), "is empty in an image of 128 × 64"),
        ((0.5, 0.5, 0.001, 0.5), "is empty"),
        ((-1, 0, 5, 5), "from 0 upwards"),
        ((0, 0, float("nan"), 5), "from 0 upwards"),
        ((0, 0, float("inf"), 5), "from 0 upwards"),
    ],
)
def test_a_region_outside_or_empty_is_an_error(crop: Crop, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        crop_image(Image.new("RGB", (128, 64)), crop)


def test_one_pixel_is_a_region(colours: Path, gallery: Gallery) -> None:
    assert len(Retriever(gallery).search(colours / "red.png", crop=(3, 3, 1, 1)).hits) == 4


class Judge:
    """A reranker that notes what it is shown, and rates by the redness of the query."""

    method = "judge"
    depth = 3

    def __init__(self) -> None:
        self.queries: list[QueryImage] = []

    def close(self) -> None:
        pass

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        self.queries.append(query)
        red, _, blue = np.asarray(open_rgb(query.read())).mean(axis=(0, 1))
        wanted = "blue.png" if blue > red else "red.png"
        return [
            replace(
                hit,
                rerank=RerankScore(self.method, hit.similarity + (hit.image.name == wanted)),
            )
            for hit in hits[: self.depth]
        ] + list(hits[self.depth :])


def test_a_reranker_sees_the_region(colours: Path, gallery: Gallery) -> None:
    judge = Judge()
    Retriever(gallery).search(1, crop=(0, 0, 20, 30), rerank=judge)
    (query,) = judge.queries
    assert query.id is None
    assert open_rgb(query.read()).size == (20, 30)


def test_a_reranker_judges_by_each_of_several(colours: Path, gallery: Gallery) -> None:
    judge = Judge()
    both = [colours / "red.png", colours / "blue.png"]
    result = Retriever(gallery).search(both, combine="best", rerank=judge)
    assert len(judge.queries) == 2
    assert set(names(result)[:2]) == {"red.png", "blue.png"}
    assert all(hit.rerank and hit.rerank.score > 1.9 for hit in result.hits[:2])
    assert result.hits[3].rerank is None
    assert result.reranked == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"query": []}, "at least one image"),
        ({"offset": -1}, "offset is -1"),
        ({"max_per_group": 0}, "max_per_group is 0"),
        ({"combine": "sum"}, "there are mean and best"),
        ({"query": [1, 2], "crop": (0, 0, 1, 1)}, "region of one image"),
    ],
)
def test_options_that_make_no_sense(
    colours: Path, gallery: Gallery, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Retriever(gallery).search(**({"query": 1} | options))  # type: ignore[arg-type, call-arg]


def test_a_condition_as_text_is_an_error_that_says_how(colours: Path, gallery: Gallery) -> None:
    with pytest.raises(TypeError, match=r"parse_where\(\['category=shoes'\]\)"):
        Retriever(gallery).search(1, where="price<50")


def test_an_unknown_id_among_several_is_an_error(colours: Path, gallery: Gallery) -> None:
    with pytest.raises(NotFoundError, match="no image 99"):
        Retriever(gallery).search([1, 99])
    with pytest.raises(NotFoundError, match="no image 98"):
        Retriever(gallery).search(1, unwanted=[98])


def test_a_bound_on_similarity(colours: Path, gallery: Gallery) -> None:
    retriever = Retriever(gallery)
    every = retriever.search(colours / "red.png")
    least = every.hits[1].similarity
    assert names(retriever.search(colours / "red.png", min_similarity=least)) == names(every)[:2]
    assert retriever.search(encode(plain("black")), min_similarity=1.0).hits == ()


def test_images_without_the_field_are_groups_of_their_own(tmp_path: Path, gallery: Gallery) -> None:
    for number in range(6):
        picture(seed=number).save(tmp_path / f"{number}.png")
    manifest = tmp_path / "feed.csv"
    manifest.write_text("path,sku\n0.png,a\n1.png,a\n2.png,b\n3.png,\n4.png,\n5.png,b\n")
    index_images(manifest, gallery)
    result = Retriever(gallery).search(tmp_path / "0.png", group_by="sku")
    skus = [hit.image.metadata.get("sku") or "" for hit in result.hits]
    assert sorted(skus) in (["", "", "a", "b"], ["", "a", "b"])
    assert names(result)[0] == "0.png"
