"""Filters over a catalogue: which images match, and what cannot be asked."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from rows import batch, config, row, unit

from cbir.errors import FilterError
from cbir.filters import Compare, Exists, Or, parse_where
from cbir.storage.catalog import Catalog
from cbir.storage.rows import Batch, FileState, TouchedRow

PRODUCTS: list[dict[str, Any]] = [
    {"category": "shoes", "price": 49.5, "tags": ["red", "sale"], "added": date(2026, 11, 2)},
    {"category": "shoes", "price": 50, "tags": ["blue"], "stock": True},
    {"category": "bag", "price": 9, "added": datetime(2026, 11, 30, 8, 30), "stock": False},
    {"category": "Ünïcode 'quote' \"and\" %_", "size": 38, "sizes": [38, 39.5]},
    {"category": "bag", "size": "XL", "added": date(2025, 1, 31)},
    {},
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder: Path = tmp_path_factory.mktemp("shop")
    catalog = Catalog.create(f"sqlite:///{folder / 'catalog.sqlite'}", config())
    rows = [row(f"/{i}", unit(i), metadata=p) for i, p in enumerate(PRODUCTS, 1)]
    catalog.write("/shop", batch(*rows))
    yield catalog
    catalog.close()


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["category=shoes"], [1, 2]),
        (["category!=shoes"], [3, 4, 5]),
        (["category=SHOES"], []),
        (["category=Ünïcode 'quote' \"and\" %_"], [4]),
        (["category in shoes,bag"], [1, 2, 3, 5]),
        (["category not in shoes,bag"], [4, 6]),
        (["category>b", "category<c"], [3, 5]),
        (["price<50"], [1, 3]),
        (["price<=50", "price>9"], [1, 2]),
        (["price=50"], [2]),
        (["tags has red"], [1]),
        (["tags has re"], []),
        (["sizes has 38"], [4]),
        (["sizes has 39.5"], [4]),
        (["size=38"], [4]),
        (["size=XL"], [5]),
        (["stock=true"], [2]),
        (["stock=False"], [3]),
        (["added=2026-11"], [1, 3]),
        (["added=2026-11-30"], [3]),
        (["added<2026"], [5]),
        (["added<=2026-11-02"], [1, 5]),
        (["added>2026-11-02"], [3]),
        (["added>=2026-11-30T08:30:00"], [3]),
        (["added!=2026-11"], [5]),
        (["stock exists"], [2, 3]),
        (["category=shoes", "stock exists"], [2]),
    ],
)
def test_images_match(catalog: Catalog, conditions: list[str], ids: list[int]) -> None:
    where = parse_where(conditions)
    assert catalog.matching(where).tolist() == ids
    assert catalog.count_matching(where) == len(ids)


def test_the_same_tree_in_python(catalog: Catalog) -> None:
    assert catalog.matching(Compare("price", "in", (9, 50))).tolist() == [2, 3]
    assert catalog.matching(Compare("stock", "=", True)).tolist() == [2]
    assert catalog.matching(Compare("added", ">", date(2026, 1, 1))).tolist() == [1, 3]
    assert catalog.matching(~Exists("category")).tolist() == [6]
    either = Compare("price", "<", 10) | Compare("tags", "has", "blue")
    assert catalog.matching(either).tolist() == [2, 3]
    assert catalog.matching(Or(())).tolist() == []


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("colour=red", "no image has a field 'colour'; known fields: added, category"),
        ("prize<5", "did you mean 'price'?"),
        ("price<cheap", "'price' holds values of type number"),
        ("price has 5", "'price' holds values of type number"),
        ("tags=red", "list: 'has' and a value"),
        ("stock=maybe", "boolean: true or false"),
        ("stock<true", "boolean: true or false"),
        ("added>yesterday", "date: a date, as 2026-11-23"),
        ("price in 1,two", "'price' holds values of type number"),
    ],
)
def test_what_cannot_be_asked(catalog: Catalog, condition: str, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        catalog.matching(parse_where([condition]))
    assert says in str(caught.value)


def test_values_follow_their_image(tmp_path: Path) -> None:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config())
    catalog.write("/s", batch(*(row(f"/{i}", unit(i), metadata={"n": i}) for i in range(3))))
    catalog.write("/s", batch(row("/0", unit(9), metadata={"n": 10})))
    touched = TouchedRow(2, "/1", "/1", "1", FileState(1, 1), {"n": 11})
    catalog.write("/s", Batch(touched=[touched]))
    catalog.remove([3])
    assert catalog.matching(parse_where(["n>9"])).tolist() == [1, 2]
    assert catalog.matching(parse_where(["n<9"])).tolist() == []
    catalog.close()
