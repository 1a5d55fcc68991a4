"""Conditions as text: what they mean, and what is none."""

import pytest

from cbir.errors import FilterError
from cbir.filters import And, Compare, Exists, Not, Or, parse_where


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("category=shoes", Compare("category", "=", "shoes")),
        ("price<50", Compare("price", "<", "50")),
        ("price <= 49.90", Compare("price", "<=", "49.90")),
        ("price>=1", Compare("price", ">=", "1")),
        ("brand!='a=b'", Compare("brand", "!=", "a=b")),
        ("tags has red", Compare("tags", "has", "red")),
        ("tags has a<b", Compare("tags", "has", "a<b")),
        ("title=made in Italy", Compare("title", "=", "made in Italy")),
        ("size in 38, 39", Compare("size", "in", ("38", "39"))),
        ("size not in 38,39", Not(Compare("size", "in", ("38", "39")))),
        ("brand exists", Exists("brand")),
        ("shelf life<3", Compare("shelf life", "<", "3")),
        ('name=""', Compare("name", "=", "")),
    ],
)
def test_a_condition_is_read(text: str, expected: object) -> None:
    assert parse_where([text]) == And((expected,))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "shoes", "price<", "=3", "tags has", "brand exists not"])
def test_what_is_no_condition_says_how_to_write_one(text: str) -> None:
    with pytest.raises(FilterError, match=r"write as 'category=shoes'"):
        parse_where([text])


def test_conditions_combine_in_python() -> None:
    cheap, shoes = Compare("price", "<", 50), Compare("category", "=", "shoes")
    assert cheap & ~shoes == And((cheap, Not(shoes)))
    assert cheap | shoes == Or((cheap, shoes))
