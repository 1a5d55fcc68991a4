"""Translates a comparison of one field into SQL conditions on the index of all values."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, and_, or_, true

from cbir.catalog.engine import parts
from cbir.catalog.schema import field_values
from cbir.errors import FilterError
from cbir.filters import Compare, Value
from cbir.messages import shortened
from cbir.metadata import FieldType, plain_value

VALUES_PER_STATEMENT = 10_000
DATES_PER_STATEMENT = 200
"""Dates of a long `in` per statement: below SQLite's limits on parameters and expression depth."""

Kinds: TypeAlias = Mapping[FieldType, int]
"""Type → id of a field's values of that type."""

_ORDERED: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ORDER = frozenset({"<", "<=", ">", ">="})
# A year, a month, a day, or a time of that day down to fractions of a second.
_DATE = re.compile(
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d+)?)?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EXAMPLE: Mapping[FieldType, str] = {
    "text": "a text",
    "number": "a number, as 49.90",
    "boolean": "true or false, with = or !=",
    "date": "a date, as 2026-11-23 or 2026-11",
    "list": "'has' and a value",
}


def conditions_on(where: Compare, kinds: Kinds) -> list[ColumnElement[bool]]:
    """Conditions on rows of `field_values`, one statement each; an image may match several."""
    if where.operator not in (operators := (*_ORDERED, "in", "has")):
        raise FilterError(
            f"{where.operator!r} is not an operator; the operators are {', '.join(operators)}"
        )
    values = where.value if isinstance(where.value, tuple) else (where.value,)
    if isinstance(where.value, tuple) and where.operator != "in":
        raise FilterError(_mismatch(where, kinds))
    for value in values:
        if isinstance(value, str) and not _encodable(value):
            raise FilterError(f"{where.field!r} is compared with {value!r}, which is not text")
    unread = set(range(len(values)))
    statements: list[ColumnElement[bool]] = []
    as_number = where.operator in ORDER and "number" in kinds and read_number(values[0]) is not None
    for kind, field_id in kinds.items():
        if as_number and kind == "text":
            continue  # odd cells of a column of numbers: '9,50' is not less than 20
        if where.operator == "in":
            readable, conditions = _any_of(kind, values)
        else:
            compared = _compared(kind, where.operator, values[0])
            # A value of another type is unequal.
            other = [true()] if where.operator == "!=" else []
            readable, conditions = ({0}, [compared]) if compared is not None else (set(), other)
        unread -= readable
        of_field = field_values.c.field_id == field_id
        statements += [and_(of_field, condition) for condition in conditions]
    if unread:
        raise FilterError(_mismatch(where, kinds, values[min(unread)]))
    return statements


def _any_of(
    kind: FieldType, values: Sequence[Value]
) -> tuple[set[int], Sequence[ColumnElement[bool]]]:
    """Positions of the values that can be read as a type, and conditions equal to any of them."""
    if kind == "number":
        numbers = {i: n for i, value in enumerate(values) if (n := read_number(value)) is not None}
        split = parts(list(numbers.values()), VALUES_PER_STATEMENT)
        return set(numbers), [field_values.c.number.in_(part) for part in split]
    if kind == "text":
        texts = {i: value for i, value in enumerate(values) if isinstance(value, str)}
        pieces = parts(list(texts.values()), VALUES_PER_STATEMENT)
        return set(texts), [_text(field_values.c.text.in_(piece)) for piece in pieces]
    each = {i: _compared(kind, "=", value) for i, value in enumerate(values)}
    equal = {i: condition for i, condition in each.items() if condition is not None}
    return set(equal), [or_(*part) for part in parts(list(equal.values()), DATES_PER_STATEMENT)]


def _compared(kind: FieldType, sign: str, value: Value) -> ColumnElement[bool] | None:
    """The condition that compares with a value read as a type; None if it cannot be read so."""
    if (sign == "has") != (kind == "list"):
        return None
    if kind == "list":
        number = read_number(value)
        either = [] if _is_number(value) else [_text(field_values.c.text == _as_text(value))]
        return or_(*either, *([] if number is None else [field_values.c.number == number]))
    compare = _ORDERED[sign]
    if kind == "number":
        number = read_number(value)
        return None if number is None else compare(field_values.c.number, number)
    if kind == "boolean":
        truth = _truth(value)
        if truth is None or sign not in ("=", "!="):
            return None
        return compare(field_values.c.number, float(truth))
    if kind == "date":
        moment = _moment(value)
        return None if moment is None else _within(sign, moment)
    return _text(compare(field_values.c.text, value)) if isinstance(value, str) else None


def _within(sign: str, moment: str) -> ColumnElement[bool]:
    """Compare dates at the given precision: `added=2026-11` is all of November."""
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
    # The first part lets SQL use the index, whose order is field, number, text.
    return field_values.c.number.is_(None) & compared


def _as_text(value: Value) -> str:
    return str(plain_value(value))


def _encodable(value: str) -> bool:
    """Whether a text can be stored: a command-line argument that is not UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_number(value: object) -> float | None:
    """The number that a value of a filter is or spells; None for any other."""
    if not _is_number(value) and not isinstance(value, str):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = float("inf") if value > 0 else float("-inf")  # type: ignore[operator]
    except ValueError:
        return None
    return None if number != number else number


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.casefold()) if isinstance(value, str) else None


def _moment(value: object) -> str | None:
    if isinstance(value, date):
        return str(plain_value(value))
    if not isinstance(value, str) or (read := _DATE.fullmatch(value)) is None:
        return None
    moment = value.replace(" ", "T").replace("Z", "+00:00")
    if read["zone"] is None:
        return moment
    try:
        return datetime.fromisoformat(moment).astimezone(timezone.utc).isoformat()
    except (ValueError, OverflowError):
        return None


def _mismatch(where: Compare, kinds: Kinds, value: Value | None = None) -> str:
    shown = where.value if value is None else value
    if isinstance(where.value, tuple) and value is not None:
        where = replace(where, operator="=")
    wanted = " or ".join(f"{kind}: {_EXAMPLE[kind]}" for kind in sorted(kinds))
    return (
        f"'{where.field} {where.operator} {shortened(repr(shown))}' cannot be compared: "
        f"{where.field!r} holds values of type {wanted}"
    )
