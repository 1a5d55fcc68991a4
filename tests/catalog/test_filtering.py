"""Filters over a catalogue: which images match, and what cannot be asked."""

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import batch, config, row, unit
from sqlalchemy import Engine, event

from cbir.catalog.catalog import Catalog
from cbir.catalog.engine import reading
from cbir.catalog.rows import Batch, TouchedRow
from cbir.errors import FilterError
from cbir.filters import And, Compare, Exists, Filter, Or, parse_where
from cbir.metadata import FieldSummary
from cbir.types import ImageVersion

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
        (["category=shoes", "stock not in true"], [1]),
        (["size in 38,XL"], [4, 5]),
        (["size!=XL"], [4]),
        (["size!=38"], [5]),
        (["price<1e400"], [1, 2, 3]),
        (["price>-inf", "price<inf"], [1, 2, 3]),
        (["price>1e400"], []),
        (["added=2026-11-02 00:00"], []),
        (["added<2026-11-30T09:30:00+02:00"], [1, 5]),
        (["category='; DROP TABLE images; --"], []),
        (["category=%"], []),
        (["category=_hoes"], []),
        (["category=sho\0es"], []),
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
        ("price in 1,two", "'price = 'two'' cannot be compared: 'price' holds values of type"),
        ("price<nan", "'price' holds values of type number"),
        ("added=2026-13", "date: a date, as 2026-11-23"),
        ("category=\udcff", "which is not text"),
        ("\udcff=1", "no image has a field"),
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
    touched = TouchedRow(2, "/1", "/1", "1", ImageVersion(1, 1), {"n": 11})
    catalog.write("/s", Batch(touched=[touched]))
    catalog.remove([3])
    assert catalog.matching(parse_where(["n>9"])).tolist() == [1, 2]
    assert catalog.matching(parse_where(["n<9"])).tolist() == []
    catalog.close()


def leaves(catalog: Catalog) -> list[tuple[Filter, set[int]]]:
    texts = [
        "category=shoes",
        "category!=shoes",
        "price<50",
        "tags has red",
        "size=38",
        "stock=true",
    ]
    conditions: list[Filter] = [parse_where([text]).children[0] for text in texts]
    return [(leaf, set(catalog.matching(leaf).tolist())) for leaf in conditions]


def test_trees_are_sets(catalog: Catalog) -> None:
    everything = set(range(1, len(PRODUCTS) + 1))
    known = leaves(catalog)
    rng = random.Random(0)

    def grow(depth: int) -> tuple[Filter, set[int]]:
        kind = rng.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
        if kind == "leaf":
            return rng.choice(known)
        if kind == "not":
            child, matching = grow(depth - 1)
            return ~child, everything - matching
        children = [grow(depth - 1) for _ in range(rng.randrange(4))]
        trees = tuple(tree for tree, _ in children)
        sets = [matching for _, matching in children]
        if kind == "or":
            return Or(trees), set().union(*sets)
        return And(trees), everything.intersection(*sets)

    for _ in range(200):
        tree, matching = grow(5)
        assert catalog.matching(tree).tolist() == sorted(matching)
        assert catalog.count_matching(tree) == len(matching)


def test_trees_are_deep_and_wide(catalog: Catalog) -> None:
    wide = Or(tuple(Compare("price", "=", number) for number in range(2_000)))
    assert catalog.matching(wide).tolist() == [2, 3]
    deep: Filter = Exists("stock")
    for _ in range(98):
        deep = ~deep
    assert catalog.matching(deep).tolist() == [2, 3]
    for _ in range(100_000):
        deep = ~deep
    with pytest.raises(FilterError, match="more than 100 deep"):
        catalog.matching(deep)


def test_a_list_of_values_may_be_long(catalog: Catalog) -> None:
    many = tuple(range(100_000))
    assert catalog.matching(Compare("price", "in", many)).tolist() == [2, 3]
    texts = tuple(map(str, many))
    assert catalog.matching(Compare("category", "in", (*texts, "bag"))).tolist() == [3, 5]
    dates = (f"{year}-{month:02}" for year in range(1950, 2050) for month in range(1, 13))
    assert catalog.matching(Compare("added", "in", tuple(dates))).tolist() == [1, 3, 5]


@pytest.mark.parametrize(
    ("where", "error"),
    [
        (Compare("price", "~", 1), FilterError),  # type: ignore[arg-type]
        (Compare("price", "<", (1, 2)), FilterError),
        (Compare("price", "=", None), FilterError),  # type: ignore[arg-type]
        (Compare("price", "=", True), FilterError),
        (Compare("category", "=", 5), FilterError),
        ("price<5", TypeError),
        (None, TypeError),
    ],
)
def test_what_is_no_filter(catalog: Catalog, where: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        catalog.matching(where)


def test_an_empty_list_of_values_matches_nothing(catalog: Catalog) -> None:
    assert catalog.matching(Compare("price", "in", ())).tolist() == []


ODD_NAMES = [
    "",
    "a'b",
    'a"b',
    "a;DROP TABLE images",
    "a%_",
    "日本語",
    "\U0001f45f",
    "x\0y",
    "a.b[0]",
]
ODD_VALUES = [
    "",
    "'",
    '"',
    "''; DELETE FROM images",
    "%",
    "\0",
    "日本語",
    "e\u0301",
    "é",
    "\u202e",
    "\n",
]


def test_odd_names_and_values_are_only_text(tmp_path: Path) -> None:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config())
    pairs = [(name, value) for name in ODD_NAMES for value in ODD_VALUES]
    rows = [row(f"/{i}", unit(i), metadata={n: v}) for i, (n, v) in enumerate(pairs)]
    catalog.write("/s", batch(*rows))
    for number, (name, value) in enumerate(pairs, 1):
        assert catalog.matching(Compare(name, "=", value)).tolist() == [number]
        assert catalog.matching(Compare(name, "in", (value, "no"))).tolist() == [number]
    assert catalog.count() == len(pairs)
    catalog.close()


def test_values_that_a_database_cannot_hold_stop_no_run(tmp_path: Path) -> None:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config())
    odd = {"n": 10**400, "\ud800": 1, "t": "\ud800", "nested": [["a", 1], "b", 2]}
    catalog.write("/s", batch(row("/1", unit(1), metadata=odd), row("/2", unit(2))))
    assert catalog.matching(Compare("n", ">", 10**300)).tolist() == [1]
    assert catalog.matching(Compare("n", "<", -(10**400))).tolist() == []
    assert catalog.matching(Compare("nested", "has", "b")).tolist() == [1]
    assert catalog.matching(Compare("nested", "has", 2)).tolist() == [1]
    assert catalog.matching(Exists("t")).tolist() == [1]
    catalog.close()


@given(
    st.text(max_size=30)
    | st.builds(
        "{}{}{}".format,
        st.sampled_from(["category", "price", "tags", "added", "stock", "size", '"price"', "x"]),
        st.sampled_from(["=", "!=", "<", ">=", " in ", " not in ", " has ", " exists", "=="]),
        st.text(st.characters(codec=None), max_size=12) | st.floats().map(str),
    )
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_condition_or_a_filter_error(catalog: Catalog, text: str) -> None:
    with suppress(FilterError):
        catalog.matching(parse_where([text]))


def test_an_index_answers(catalog: Catalog) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    for text in ("category=shoes", "price<50", "added=2026", "tags has red", "size in 38,XL"):
        catalog.matching(parse_where([text]))
    event.remove(Engine, "before_cursor_execute", note)
    with reading(catalog._engine) as connection:
        leaves = [(s, v) for s, v in asked if "FROM field_values" in s]
        assert len(leaves) == 6
        for statement, values in leaves:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert "USING COVERING INDEX field_values_by_value (field_id=? AND" in plan[0][-1]


def test_fields_are_summed_up(catalog: Catalog) -> None:
    found = {(f.name, f.type): f for f in catalog.field_summaries()}
    assert found["price", "number"] == FieldSummary("price", "number", 3, (9.0, 50.0))
    assert found["stock", "boolean"].examples == (0.0, 1.0)
    assert found["added", "date"].examples == ("2025-01-31", "2026-11-30T08:30:00")
    assert found["sizes", "list"] == FieldSummary("sizes", "list", 2, (38.0, 39.5))
    assert found["size", "text"].examples == ("XL",)
    assert found["tags", "list"].examples == ("blue", "red", "sale")
