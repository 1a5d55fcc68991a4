"""Filters as SQL: every value is bound, every field and type is checked before the query runs."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select, true

from cbir.errors import FilterError
from cbir.filters import And, Compare, Exists, Filter, Not, Or, Value
from cbir.metadata import Fields, FieldType, plain_value
from cbir.storage.schema import field_values, fields, images

_ORDERED: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# A year, a month, a day, or a moment of that day down to fractions of a second.
_DATE = re.compile(
    r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_EXAMPLE: Mapping[FieldType, str] = {
    "text": "a text",
    "number": "a number, as 49.90",
    "boolean": "true or false, with = or !=",
    "date": "a date, as 2026-11-23 or 2026-11",
    "list": "'has' and a value",
}


def condition(where: Filter, known: Fields) -> ColumnElement[bool]:
    """A filter as a condition on `images`.

    Raises FilterError, naming the known fields, for a field that no image has, and for a value
    that cannot be compared with what the field holds.
    """
    if isinstance(where, And):
        return reduce(operator.and_, (condition(child, known) for child in where.children), true())
    if isinstance(where, Or):
        return reduce(operator.or_, (condition(child, known) for child in where.children), false())
    if isinstance(where, Not):
        return ~condition(where.child, known)
    types = _types(where.field, known)
    if isinstance(where, Exists):
        return _with_field(where.field, types, true())
    matching = [
        _with_field(where.field, {kind}, compared)
        for kind in sorted(types)
        if (compared := _compared(where, kind)) is not None
    ]
    if not matching:
        raise FilterError(_mismatch(where, types))
    return or_(*matching)


def _types(field: str, known: Fields) -> frozenset[FieldType]:
    if field in known:
        return known[field]
    close = difflib.get_close_matches(field, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    names = ", ".join(sorted(known)) or "none: index a manifest with columns beside the path"
    raise FilterError(f"no image has a field {field!r}{meant} known fields: {names}")


def _with_field(
    field: str, types: frozenset[FieldType] | set[FieldType], compared: ColumnElement[bool]
) -> ColumnElement[bool]:
    ids = select(fields.c.id).where(fields.c.name == field, fields.c.type.in_(sorted(types)))
    having = select(field_values.c.image_id).where(
        field_values.c.field_id.in_(ids.scalar_subquery()), compared
    )
    return images.c.id.in_(having.scalar_subquery())


def _compared(where: Compare, kind: FieldType) -> ColumnElement[bool] | None:
    """A value compared as one of a type; None when it cannot be."""
    if (where.operator == "has") != (kind == "list"):
        return None
    if where.operator == "in":
        values = where.value if isinstance(where.value, tuple) else (where.value,)
        each = [_single(kind, "=", value) for value in values]
        readable = [one for one in each if one is not None]
        return or_(false(), *readable) if len(readable) == len(each) else None
    if isinstance(where.value, tuple):
        return None
    if kind == "list":
        number, text = _number(where.value), str(plain_value(where.value))
        either = [] if _is_number(where.value) else [_text(field_values.c.text == text)]
        return or_(*either, *([] if number is None else [field_values.c.number == number]))
    return _single(kind, where.operator, where.value)


def _single(kind: FieldType, sign: str, value: Value) -> ColumnElement[bool] | None:
    compare = _ORDERED[sign]
    if kind == "number":
        number = _number(value)
        return None if number is None else compare(field_values.c.number, number)
    if kind == "boolean":
        truth = _truth(value)
        if truth is None or sign not in ("=", "!="):
            return None
        return compare(field_values.c.number, float(truth))
    if kind == "date":
        moment = _moment(value)
        if moment is None:
            return None
        return _within(sign, moment)
    return _text(compare(field_values.c.text, value)) if isinstance(value, str) else None


def _within(sign: str, moment: str) -> ColumnElement[bool]:
    """As much of a date as was given: `added=2026-11` is all of November."""
    begins, ends = field_values.c.text >= moment, field_values.c.text < moment + "~"
    return _text(
        {
            "=": begins & ends,
            "!=": ~(begins & ends),
            "<": ~begins,
            "<=": ends,
            ">": ~ends,
            ">=": begins,
        }[sign]
    )


def _text(compared: ColumnElement[bool]) -> ColumnElement[bool]:
    # Without the first part the index, whose numbers come before its texts, could not be used.
    return field_values.c.number.is_(None) & compared


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: object) -> float | None:
    if _is_number(value):
        return float(value)  # type: ignore[arg-type]
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.casefold()) if isinstance(value, str) else None


def _moment(value: object) -> str | None:
    if isinstance(value, date):
        return str(plain_value(value))
    if isinstance(value, str) and _DATE.fullmatch(value):
        return value.replace(" ", "T").replace("Z", "+00:00")
    return None


def _mismatch(where: Compare, types: frozenset[FieldType]) -> str:
    value = where.value if isinstance(where.value, tuple) else repr(where.value)
    wanted = " or ".join(f"{kind}: {_EXAMPLE[kind]}" for kind in sorted(types))
    return (
        f"'{where.field} {where.operator} {value}' cannot be compared: {where.field!r} holds "
        f"values of type {wanted}"
    )
