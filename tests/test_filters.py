"""Conditions as text: what they mean, and what is none."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        ("category==shoes", Compare("category", "=", "shoes")),
        ("a=b=c<d", Compare("a", "=", "b=c<d")),
        ("title=not in stock", Compare("title", "=", "not in stock")),
        ("title='not in stock'", Compare("title", "=", "not in stock")),
        ('height=6" pipe', Compare("height", "=", '6" pipe')),
        ("brand='L''Oréal'", Compare("brand", "=", "L'Oréal")),
        ('brand="say ""hi"""', Compare("brand", "=", 'say "hi"')),
        ("brand=' shoes '", Compare("brand", "=", " shoes ")),
        ("size in \"a,b\", c ,'d''e'", Compare("size", "in", ("a,b", "c", "d'e"))),
        ('size in "", x', Compare("size", "in", ("", "x"))),
        ("size not  in x", Not(Compare("size", "in", ("x",)))),
        ('"made in"=Italy', Compare("made in", "=", "Italy")),
        ('"made in" in Italy,France', Compare("made in", "in", ("Italy", "France"))),
        ("'weight <kg>' < 5", Compare("weight <kg>", "<", "5")),
        ('"has" has x', Compare("has", "has", "x")),
        ("in stock=true", Compare("in stock", "=", "true")),
        ("inches=5", Compare("inches", "=", "5")),
        ("title\n=\nx", Compare("title", "=", "x")),
    ],
)
def test_a_condition_is_read(text: str, expected: object) -> None:
    assert parse_where([text]) == And((expected,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shoes",
        "price<",
        "=3",
        "tags has",
        "brand exists not",
        "x in a,,b",
        "x in ,",
        "''=3",
        " ",
        "a ! b",
    ],
)
def test_what_is_no_condition_says_how_to_write_one(text: str) -> None:
    with pytest.raises(FilterError, match=r"write as 'category=shoes'"):
        parse_where([text])


def test_conditions_combine_in_python() -> None:
    cheap, shoes = Compare("price", "<", 50), Compare("category", "=", "shoes")
    assert cheap & ~shoes == And((cheap, Not(shoes)))
    assert cheap | shoes == Or((cheap, shoes))


@given(st.text() | st.text("abc =<>!'\",\n\0inothas", max_size=40))
@settings(max_examples=1_000)
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    with suppress(FilterError):
        parse_where([text])


@given(st.text(min_size=1), st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "has"]), st.text())
def test_what_is_quoted_comes_back(field: str, operator: str, value: str) -> None:
    text = f"{quoted(field)} {operator} {quoted(value)}"
    assert parse_where([text]) == And((Compare(field, operator, value),))  # type: ignore[arg-type]
    listed = parse_where([f"{quoted(field)} in {quoted(value)},{quoted(field)}"])
    assert listed == And((Compare(field, "in", (value, field)),))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("text", ["a" + " " * 300_000, "a not" + " " * 300_000, '"' * 300_001])
def test_long_nonsense_is_refused_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(FilterError):
        parse_where([text])
    assert time.perf_counter() - started < 2
