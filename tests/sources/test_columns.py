"""A column is of one type if all of its cells are."""

from datetime import date, datetime, timezone
from typing import Any

import pytest

from cbir.sources.columns import ColumnTypes


def column(*cells: Any, types: ColumnTypes | None = None) -> list[Any]:
    types = types or ColumnTypes()
    for cell in cells:
        types.see("c", cell)
    return [types.read("c", cell) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2", "0"], [1, -2, 0]),
        (["12.50", "3", " 4 "], [12.5, 3, 4]),
        (["0.5", "-0.25"], [0.5, -0.25]),
        (["123456789012345"], [123456789012345]),
        (["true", "False", "TRUE"], [True, False, True]),
        (["2026-11-23", "2026-11-24"], [date(2026, 11, 23), date(2026, 11, 24)]),
        (["2026-11-23 08:30"], [datetime(2026, 11, 23, 8, 30)]),
        (["2026-11-23T08:30:00.5"], [datetime(2026, 11, 23, 8, 30, 0, 500_000)]),
        (["2026-11-23T08:30:00Z"], [datetime(2026, 11, 23, 8, 30, tzinfo=timezone.utc)]),
        (["2026-11-23T08:30+02:00"], [datetime(2026, 11, 23, 6, 30, tzinfo=timezone.utc)]),
        (['["a", "b"]', "[]", "[1, 2.5]"], [["a", "b"], [], [1, 2.5]]),
    ],
)
def test_cells_of_one_type_are_of_that_type(cells: list[str], expected: list[Any]) -> None:
    found = column(*cells)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    "cells",
    [
        ["00123", "00124"],
        ["123", "00124"],
        ["00124", "123"],
        ["1", "on request"],
        ["on request", "1"],
        ["1e5"],
        ["+7"],
        ["1,500", "2,000"],
        ["1 000"],
        [".5"],
        ["5."],
        ["inf"],
        ["٣"],
        ["1234567890123456"],
        ["true", "yes"],
        ["true", "1"],
        ["2026-11-23", "2026-02-30"],
        ["2026-11"],
        ["23.11.2026"],
        ["0001-01-01T00:00+14:00"],
        ["2026-11-23", "3"],
        ['["a"]', "a"],
        ['["a", {"b": 1}]'],
        ["[true]"],
        ["[" * 100_000],
    ],
    ids=lambda cells: " ".join(cells)[:30],
)
def test_otherwise_it_stays_text(cells: list[str]) -> None:
    assert column(*cells) == cells


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "n/a", "nan", "2.5"], [1, None, None, 2.5]),
        (["NA", "None", "NaN"], [None, None, None]),
        (["None", "nan", "Acme"], ["None", None, "Acme"]),
        (["true", "NULL"], [True, None]),
        (["NaT", "2026-11-23"], [None, date(2026, 11, 23)]),
        (["9,50", "10", "1.299,00"], [9.5, 10, 1299.0]),
        (["9.50", "12", "9,50"], [9.5, 12, "9,50"]),
        (["9.50", "12", "€ 8", "7.5"], [9.5, 12, "€ 8", 7.5]),
        (["1", "2", "3", "4", "9 EUR", "1'200.-"], [1, 2, 3, 4, "9 EUR", "1'200.-"]),
        (["1001.0", "NaN", "1002.0"], [1001, None, 1002]),
        ([*"123456789", "10", "sold"], [*range(1, 11), "sold"]),
        (["38", "39", "M"], ["38", "39", "M"]),
        (["12345", "04109", "22222"], ["12345", "04109", "22222"]),
    ],
    ids=lambda cells: " ".join(map(str, cells))[:30],
)
def test_a_few_odd_cells_and_missing_ones_leave_a_column_its_type(
    cells: list[str], expected: list[Any]
) -> None:
    read = column(*cells)
    assert read == expected
    assert [type(value) for value in read] == [type(value) for value in expected]


def test_only_dates_are_looked_for_where_the_file_has_types() -> None:
    assert column("12", "13", types=ColumnTypes(["date"])) == ["12", "13"]
    assert column("2026-11-23", types=ColumnTypes(["date"])) == [date(2026, 11, 23)]
    assert column("NA", "nan", types=ColumnTypes(["date"])) == ["NA", "nan"]
    assert column("2026-11-23", 5, types=ColumnTypes(["date"])) == ["2026-11-23", 5]
