"""What is recommended, for one and for all, against the definition worked out the slow way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recommendation.shop import expected, open_shop, products
from rows import row, unit

from cbir.errors import FilterError, NotFoundError
from cbir.filters import Compare
from cbir.gallery import Gallery
from cbir.recommendation import Rules, recommend, recommend_all

RULES = {
    "plain": Rules(k=5),
    "more than there are": Rules(k=500),
    "filtered": Rules(k=5, where=Compare("stock", "=", True)),
    "of the category": Rules(k=5, same=("category",)),
    "of another brand": Rules(k=5, different=("brand",)),
    "of a day": Rules(k=5, same=("added",)),
    "in stock or not, as the item": Rules(k=5, same=("stock",)),
    "everything at once": Rules(
        k=3,
        where=Compare("stock", "=", True),
        same=("category", "added"),
        different=("brand",),
        group_by="product",
        diversity=0.4,
        weight="margin",
    ),
    "one per product": Rules(k=8, group_by="product"),
    "few products": Rules(k=8, group_by="category"),
    "copies, too": Rules(k=5, keep_duplicates=True),
    "not so much alike": Rules(k=5, duplicate_similarity=0.6),
    "alike enough": Rules(k=50, min_similarity=0.3),
    "varied": Rules(k=5, diversity=0.5),
    "as varied as can be": Rules(k=5, diversity=1.0),
    "varied among many": Rules(k=5, diversity=0.7, pool=60),
    "by margin": Rules(k=5, weight="margin"),
    "by margin alone, nearly": Rules(k=5, weight="margin", weight_strength=100.0, pool=80),
    "by what is in stock": Rules(k=5, weight="stock", weight_strength=0.5),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with open_shop(tmp_path_factory.mktemp("rules"), products(120)) as gallery:
        yield gallery


def everything(gallery: Gallery, rules: Rules) -> dict[int, list[int]]:
    return {
        item: [i for i in ids if i >= 0]
        for block in recommend_all(gallery, rules)
        for item, ids in zip(block.items.tolist(), block.ids.tolist(), strict=True)
    }


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_one_and_all_follow_the_definition(shop: Gallery, rules: Rules) -> None:
    found = everything(shop, rules)
    assert list(found) == list(range(1, 121))
    for item in range(1, 121, 11):
        wanted = expected(shop, item, rules)
        assert [one.image.id for one in recommend(shop, item, rules)] == wanted
        assert found[item] == wanted


def test_similarity_and_score_come_with_each(shop: Gallery) -> None:
    rules = Rules(k=5, weight="margin", weight_strength=0.2)
    found = recommend(shop, 1, rules)
    assert [one.rank for one in found] == [1, 2, 3, 4, 5]
    assert all(one.similarity <= one.score <= one.similarity + 0.2 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    (block,) = recommend_all(shop, rules)
    np.testing.assert_allclose(block.similarities[0], [one.similarity for one in found], atol=1e-5)
    np.testing.assert_allclose(block.scores[0], [one.score for one in found], atol=1e-5)


def test_what_lacks_a_field_takes_no_part(tmp_path: Path) -> None:
    rows = [
        row(f"{i}.png", unit(i), metadata={"brand": b} if b else {})
        for i, b in enumerate(["A", "A", None, "B", None])
    ]
    with open_shop(tmp_path / "g", rows) as gallery:
        assert everything(gallery, Rules(same=("brand",))) == {1: [2], 2: [1], 3: [], 4: [], 5: []}
        different = everything(gallery, Rules(different=("brand",)))
        assert {item: sorted(found) for item, found in different.items()} == {
            1: [4],
            2: [4],
            3: [],
            4: [1, 2],
            5: [],
        }


def test_equal_files_are_copies_however_they_are_named(tmp_path: Path) -> None:
    from dataclasses import replace

    rows = [row(f"{i}.png", unit(i)) for i in range(4)]
    rows[2] = replace(rows[2], content_hash=rows[0].content_hash)
    with open_shop(tmp_path / "g", rows) as gallery:
        assert 3 not in [one.image.id for one in recommend(gallery, 1)]
        assert 3 not in everything(gallery, Rules())[1]
        assert 3 in [one.image.id for one in recommend(gallery, 1, Rules(keep_duplicates=True))]


def test_weights_may_be_numbers_written_as_text(tmp_path: Path) -> None:
    rows = [row(f"{i}.png", unit(i), metadata={"margin": f"{i}.50"}) for i in range(12)]
    with open_shop(tmp_path / "g", rows) as gallery:
        rules = Rules(k=3, weight="margin", weight_strength=100.0)
        assert [one.image.id for one in recommend(gallery, 1, rules)] == [12, 11, 10]
        assert everything(gallery, rules)[1] == [12, 11, 10]


def test_a_weight_that_is_no_number_is_named(tmp_path: Path) -> None:
    rows = [row(f"{i}.png", unit(i), metadata={"margin": "12,5 %"}) for i in range(3)]
    with open_shop(tmp_path / "g", rows) as gallery:
        for work_out in (
            lambda rules: recommend(gallery, 1, rules),
            lambda rules: list(recommend_all(gallery, rules)),
        ):
            with pytest.raises(FilterError, match=r"'margin' of image \d is '12,5 %', no number"):
                work_out(Rules(weight="margin"))


@pytest.mark.parametrize("option", ["same", "different"])
def test_fields_that_mean_nothing_are_errors(tmp_path: Path, option: str) -> None:
    rows = [row(f"{i}.png", unit(i), metadata={"tags": ["a"], "brand": "B"}) for i in range(3)]
    with open_shop(tmp_path / "g", rows) as gallery:
        for field, message in (("brnd", "did you mean 'brand'"), ("tags", "holds lists")):
            fields: dict[str, Any] = {option: (field,)}
            rules = Rules(**fields)
            with pytest.raises(FilterError, match=message):
                recommend(gallery, 1, rules)
            with pytest.raises(FilterError, match=message):
                list(recommend_all(gallery, rules))
        with pytest.raises(FilterError, match="did you mean 'brand'"):
            recommend(gallery, 1, Rules(group_by="brnd"))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_gallery_of_nearly_nothing(tmp_path: Path, count: int) -> None:
    with open_shop(tmp_path / "g", products(count)) as gallery:
        found = everything(gallery, Rules(diversity=0.5))
        assert found == {item: [o for o in range(1, count + 1) if o != item] for item in found}
        assert len(found) == count
        for item in found:
            assert [one.image.id for one in recommend(gallery, item)] == found[item]
        with pytest.raises(NotFoundError):
            recommend(gallery, 99)


def test_an_approximate_index_still_gives_k(tmp_path: Path) -> None:
    with open_shop(tmp_path / "g", products(120)) as gallery:
        gallery.rebuild_index("hnsw")
        assert len(recommend(gallery, 1, Rules(k=100, keep_duplicates=True))) == 100


def test_whitened_galleries_are_compared_as_they_search(tmp_path: Path) -> None:
    from cbir.config import Whitening

    with open_shop(tmp_path / "g", products(120)) as gallery:
        plain = everything(gallery, Rules(k=5))
        gallery.whiten(Whitening(power=1.0))
        whitened = everything(gallery, Rules(k=5))
        assert whitened != plain
        for item in (1, 50, 120):
            assert [one.image.id for one in recommend(gallery, item, Rules(k=5))] == whitened[item]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"diversity": 1.5}, "between 0 and 1"),
        ({"weight_strength": -1.0}, "at least 0"),
        ({"k": 5, "pool": 4}, "a pool of 4 is too small"),
    ],
)
def test_senseless_rules_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rules(**options)
