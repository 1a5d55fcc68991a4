"""Filters: trees of conditions on the metadata of images.

>>> parse_where(["category=shoes", "price<50"])
And(children=(Compare(field='category', operator='=', value='shoes'), \
Compare(field='price', operator='<', value='50')))

A value parsed from text is compared in the type of the gallery's field: `price<50` compares numbers
where `price` holds numbers. In Python a value may have any type:

>>> Compare("price", "<", 50) & ~Compare("category", "in", ("shoes", "bags"))
And(children=(Compare(field='price', operator='<', value=50), \
Not(child=Compare(field='category', operator='in', value=('shoes', 'bags')))))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

from cbir.errors import FilterError
from cbir.messages import shortened

__all__ = [
    "And",
    "Compare",
    "Exists",
    "Filter",
    "Not",
    "Operator",
    "Or",
    "Value",
    "filter_tree",
    "parse_where",
]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "has"]
Value: TypeAlias = "str | int | float | bool | date | tuple[str | int | float, ...]"


class _Node:
    """Base of the conditions: combines them as `a & b`, `a | b` and `~a`."""

    __slots__ = ()

    def __and__(self, other: Filter) -> And:
        return And((self, other))  # type: ignore[arg-type]

    def __or__(self, other: Filter) -> Or:
        return Or((self, other))  # type: ignore[arg-type]

    def __invert__(self) -> Not:
        return Not(self)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Compare(_Node):
    """A field compared with a value; an image without the field never matches.

    `in` takes a tuple of values, one of which the field must equal; `has` tests whether the field,
    a list, contains the value.
    """

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Exists(_Node):
    """Images that have the field, with any value."""

    field: str


@dataclass(frozen=True, slots=True)
class And(_Node):
    """Images that match every child; without children, all images."""

    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(_Node):
    """Images that match at least one child; without children, none."""

    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(_Node):
    """Images that do not match the child, including those without its field."""

    child: Filter


Filter: TypeAlias = Compare | Exists | And | Or | Not


def filter_tree(condition: Filter) -> dict[str, Any]:
    """A filter as a JSON-compatible tree, the form that the HTTP API takes.

    >>> filter_tree(Compare("price", "<", 50) & ~Exists("sold"))
    {'all': [{'field': 'price', 'op': '<', 'value': 50}, {'none': {'exists': 'sold'}}]}
    """
    if isinstance(condition, And):
        return {"all": [filter_tree(child) for child in condition.children]}
    if isinstance(condition, Or):
        return {"any": [filter_tree(child) for child in condition.children]}
    if isinstance(condition, Not):
        return {"none": filter_tree(condition.child)}
    if isinstance(condition, Exists):
        return {"exists": condition.field}
    value: Any = condition.value
    if isinstance(value, date):
        value = value.isoformat()
    elif isinstance(value, tuple):
        value = list(value)
    return {"field": condition.field, "op": condition.operator, "value": value}


_OPERATOR = re.compile(r"""<=|>=|!=|==?|<|>|(?<=\s)(?:not\s+in|in|has|exists)(?=[\s"']|$)""")
_QUOTED = re.compile(r"""\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)')\s*""")
_HOW = "write as 'category=shoes', 'price<50', 'tags has red', 'size in 38,39' or 'brand exists'"


def parse_where(conditions: Iterable[str]) -> And:
    """Parse conditions, all of which must hold. Raises FilterError for malformed text.

    `field=value`, also with `!= < <= > >=`; `field in a,b,c` and `field not in a,b,c`; `field has
    value` for lists; `field exists`. Everything after the first operator is the value. A field or a
    value may be in single or double quotes; a doubled quote stands for the quote itself.
    """
    return And(tuple(_condition(text) for text in conditions))


def _condition(text: str) -> Filter:
    quoted = _QUOTED.match(text)
    match = _OPERATOR.search(text, quoted.end() if quoted else 0)
    if match is None:
        raise FilterError(f"{shortened(text)!r} is not a condition; {_HOW}")
    field, value = text[: match.start()].strip(), text[match.end() :].strip()
    operator = " ".join(match.group().split())
    if quoted and not text[quoted.end() : match.start()].strip():
        field = _unquoted(quoted)
    if not field:
        raise FilterError(f"{shortened(text)!r} names no field; {_HOW}")
    if operator == "exists":
        if value:
            raise FilterError(f"{shortened(text)!r}: nothing may follow 'exists'; {_HOW}")
        return Exists(field)
    if not value:
        raise FilterError(f"{shortened(text)!r} compares with nothing; {_HOW}")
    if operator not in ("in", "not in"):
        return Compare(field, "=" if operator == "==" else operator, _value(value))  # type: ignore[arg-type]
    allowed = Compare(field, "in", tuple(_items(text, value)))
    return Not(allowed) if operator == "not in" else allowed


def _items(text: str, listed: str) -> Iterator[str]:
    """The values of a list, separated by commas outside quotes."""
    start = 0
    while start <= len(listed):
        quoted = _QUOTED.match(listed, start)
        if quoted and listed[quoted.end() : quoted.end() + 1] in ("", ","):
            end, item = quoted.end(), _unquoted(quoted)
        else:
            end = listed.find(",", start)
            end = len(listed) if end < 0 else end
            item = listed[start:end].strip()
            if not item:
                raise FilterError(f"{shortened(text)!r} has an empty value in its list; {_HOW}")
        yield item
        start = end + 1


def _value(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    return _unquoted(quoted) if quoted else text


def _unquoted(quoted: re.Match[str]) -> str:
    double, single = quoted.groups()
    return single.replace("''", "'") if double is None else double.replace('""', '"')
