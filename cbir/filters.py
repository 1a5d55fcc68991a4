"""Which images may answer a query: a small tree of conditions on their metadata.

>>> parse_where(["category=shoes", "price<50"])
And(children=(Compare(field='category', operator='=', value='shoes'), \
Compare(field='price', operator='<', value='50')))

Built from text, a value is text until the gallery's fields say what it is: `price<50` compares
numbers where `price` holds numbers. In Python a value may have any type from the start:

>>> Compare("price", "<", 50) & ~Compare("category", "in", ("shoes", "bags"))
And(children=(Compare(field='price', operator='<', value=50), \
Not(child=Compare(field='category', operator='in', value=('shoes', 'bags')))))
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from cbir.errors import FilterError

__all__ = ["And", "Compare", "Exists", "Filter", "Not", "Operator", "Or", "Value", "parse_where"]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "has"]
Value: TypeAlias = "str | int | float | bool | date | tuple[str | int | float, ...]"


class _Node:
    """Conditions combine as `a & b`, `a | b` and `~a`."""

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

    `in` wants a tuple of values, one of which the field must equal; `has` looks into a list.
    """

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Exists(_Node):
    """Images that have the field at all."""

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
    """Images that do not match the child, those without its field among them."""

    child: Filter


Filter: TypeAlias = Compare | Exists | And | Or | Not

_NAME = r"\s*(?P<field>[^<>=!\s](?:[^<>=!]*[^<>=!\s])?)\s*"
_SYMBOL = re.compile(_NAME + r"(?P<operator><=|>=|!=|=|<|>)\s*(?P<value>.*?)\s*", re.DOTALL)
_WORD = re.compile(
    r"\s*(?P<field>.+?)\s+(?P<operator>not in|in|has|exists)\b\s*(?P<value>.*?)\s*", re.DOTALL
)
_HOW = "write as 'category=shoes', 'price<50', 'tags has red', 'size in 38,39' or 'brand exists'"


def parse_where(conditions: Iterable[str]) -> And:
    """Conditions as text, all of which must hold. Raises FilterError for what is none.

    `field=value`, also with `!= < <= > >=`; `field in a,b,c` and `field not in a,b,c`; `field has
    value` for lists; `field exists`. A value may stand in quotes.
    """
    return And(tuple(_condition(text) for text in conditions))


def _condition(text: str) -> Filter:
    symbol, word = _SYMBOL.fullmatch(text), _WORD.fullmatch(text)
    # 'note has a<b' is about the list, 'a<x in y' about the text: whichever comes first.
    if symbol and (word is None or symbol.start("operator") <= word.start("operator")):
        value = _unquoted(symbol["value"])
        if not symbol["value"]:
            raise FilterError(f"{text!r} compares with nothing; {_HOW}")
        return Compare(symbol["field"], symbol["operator"], value)  # type: ignore[arg-type]
    if word is None:
        raise FilterError(f"{text!r} is no condition; {_HOW}")
    field, operator, value = word["field"], word["operator"], word["value"]
    if operator == "exists":
        if value:
            raise FilterError(f"{text!r}: nothing may follow 'exists'; {_HOW}")
        return Exists(field)
    if not value:
        raise FilterError(f"{text!r} compares with nothing; {_HOW}")
    if operator == "has":
        return Compare(field, "has", _unquoted(value))
    among = Compare(field, "in", tuple(_unquoted(part.strip()) for part in value.split(",")))
    return Not(among) if operator == "not in" else among


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value
