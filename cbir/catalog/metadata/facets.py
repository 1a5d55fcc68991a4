"""Facets: counts of the values of every metadata field, from which users choose filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, select

from cbir.catalog.metadata.values import field_ids
from cbir.catalog.schema import field_values
from cbir.metadata import Facet, FieldType

__all__ = ["facets"]

BARS = 16

_NUMBER, _TEXT = field_values.c.number, field_values.c.text
_COUNT = func.count()


def facets(connection: Connection, *, most: int) -> list[Facet]:
    """Every field by name, with its `most` frequent values, or its range and a histogram."""
    all_facets = []
    for (name, kind), field_id in sorted(field_ids(connection).items()):
        of_field = field_values.c.field_id == field_id
        count = connection.execute(select(_COUNT).where(of_field)).scalar_one()
        if not count:
            continue
        pairs = select(_NUMBER, _TEXT).where(of_field).distinct().subquery()
        distinct = connection.execute(select(_COUNT).select_from(pairs)).scalar_one()
        if kind == "number":
            all_facets.append(_numbers(connection, name, of_field, count, distinct))
        elif kind == "date":
            all_facets.append(_dates(connection, name, of_field, count, distinct))
        else:
            values = _most_frequent(connection, kind, of_field, most)
            all_facets.append(Facet(name, kind, count, distinct, values=values))
    return all_facets


def _most_frequent(
    connection: Connection, kind: FieldType, of_field: ColumnElement[bool], most: int
) -> tuple[tuple[str | float | bool, int], ...]:
    query = (
        select(_NUMBER, _TEXT, _COUNT.label("times"))
        .where(of_field)
        .group_by(_NUMBER, _TEXT)
        .order_by(_COUNT.desc(), _NUMBER, _TEXT)
        .limit(most)
    )
    return tuple(
        (bool(number) if kind == "boolean" else number if text is None else text, times)
        for number, text, times in connection.execute(query)
    )


def _numbers(
    connection: Connection, name: str, of_field: ColumnElement[bool], count: int, distinct: int
) -> Facet:
    least, greatest = connection.execute(
        select(func.min(_NUMBER), func.max(_NUMBER)).where(of_field)
    ).one()
    width = (greatest - least) / BARS
    bars: tuple[tuple[float, int], ...] = ()
    if 0 < width < float("inf"):
        bar = cast((_NUMBER - least) / width, Integer)
        rows = connection.execute(select(bar, _COUNT).where(of_field).group_by(bar))
        counts = _counts((number, times) for number, times in rows)
        bars = tuple((least + i * width, times) for i, times in enumerate(counts))
    return Facet(name, "number", count, distinct, least=least, greatest=greatest, histogram=bars)


def _dates(
    connection: Connection, name: str, of_field: ColumnElement[bool], count: int, distinct: int
) -> Facet:
    least, greatest = connection.execute(
        select(func.min(_TEXT), func.max(_TEXT)).where(of_field)
    ).one()
    day = func.substr(_TEXT, 1, 10)
    rows = connection.execute(select(day, _COUNT).where(of_field).group_by(day)).all()
    days = [(date.fromisoformat(text).toordinal(), times) for text, times in rows]
    first, last = min(days)[0], max(days)[0]
    bars: tuple[tuple[str, int], ...] = ()
    if last > first:
        width = -(-(last - first + 1) // BARS)  # whole days
        counts = _counts(((d - first) // width, times) for d, times in days)
        shown = counts[: (last - first) // width + 1]
        bars = tuple(
            (date.fromordinal(first + i * width).isoformat(), times)
            for i, times in enumerate(shown)
        )
    return Facet(name, "date", count, distinct, least=least, greatest=greatest, histogram=bars)


def _counts(bars: Iterable[tuple[int, int]]) -> Sequence[int]:
    """Number of values in each bar; the greatest value belongs to the last one."""
    counts: Counter[int] = Counter()
    for bar, times in bars:
        counts[min(bar, BARS - 1)] += times
    return [counts[i] for i in range(BARS)]
