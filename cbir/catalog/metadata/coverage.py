"""How many images a field of numbers covers: what a comparison of numbers leaves out, in words."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, func, select

from cbir.catalog.metadata.comparisons import ORDER, read_number
from cbir.catalog.metadata.values import field_ids
from cbir.catalog.schema import field_values, images
from cbir.filters import And, Compare, Filter, Not, Or
from cbir.messages import shortened
from cbir.metadata import NumberCoverage

__all__ = ["compared_as_numbers", "coverage_of", "note_of", "number_coverage"]

LONGEST_EXAMPLE = 24


def number_coverage(connection: Connection) -> list[NumberCoverage]:
    """Every field of numbers that some image lacks or has otherwise, by name."""
    names = sorted(name for name, kind in field_ids(connection) if kind == "number")
    every = [coverage_of(connection, name) for name in names]
    return [each for each in every if each.numbers and each.numbers < each.images]


def compared_as_numbers(where: Filter) -> list[str]:
    """The fields that a filter compares with numbers by their order, each once."""
    return list(
        dict.fromkeys(
            leaf.field
            for leaf in _leaves(where)
            if leaf.operator in ORDER and read_number(leaf.value) is not None
        )
    )


def note_of(coverage: NumberCoverage) -> str | None:
    """What a comparison of numbers leaves out; None where it leaves out nothing."""
    if coverage.numbers == 0 and coverage.others:
        field = coverage.field
        return f"{field!r} holds text, which is compared letter by letter: '100' comes before '20'"
    complete = coverage.numbers >= coverage.images
    return None if complete else f"{coverage}; only numbers are compared"


def coverage_of(connection: Connection, field: str) -> NumberCoverage:
    """How many images have a number, and how many a text, in a field."""
    every = field_ids(connection).items()
    ids = {kind: field_id for (name, kind), field_id in every if name == field}
    count = select(func.count()).select_from(field_values)
    numbers = connection.execute(count.where(_is(ids.get("number")))).scalar_one()
    others, example = 0, ""
    if "text" in ids:
        of_text = _is(ids["text"])
        others = connection.execute(count.where(of_text)).scalar_one()
        least = select(func.min(field_values.c.text)).where(
            of_text, field_values.c.number.is_(None)
        )
        example = connection.execute(least).scalar() or ""
    total = connection.execute(select(func.count()).select_from(images)).scalar_one()
    return NumberCoverage(field, total, numbers, others, shortened(example, LONGEST_EXAMPLE))


def _is(field_id: int | None) -> ColumnElement[bool]:
    return field_values.c.field_id == (-1 if field_id is None else field_id)


def _leaves(where: Filter) -> Iterator[Compare]:
    if isinstance(where, Compare):
        yield where
    elif isinstance(where, Not):
        yield from _leaves(where.child)
    elif isinstance(where, (And, Or)):
        for child in where.children:
            yield from _leaves(child)
