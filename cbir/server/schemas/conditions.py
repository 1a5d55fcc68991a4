"""Filters on metadata: conditions as text, or as a tree in JSON."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from cbir.filters import And, Compare, Exists, Filter, Not, Or, parse_where
from cbir.server.schemas.base import Fraction, RequestModel, Text

Scalar: TypeAlias = bool | int | Fraction | Text


class CompareNode(RequestModel):
    field: Text
    op: Literal["=", "!=", "<", "<=", ">", ">=", "in", "has"]
    value: Scalar | Annotated[list[Scalar], Field(max_length=1000)]


class ExistsNode(RequestModel):
    exists: Text


class AndNode(RequestModel):
    all: Annotated[list[Condition], Field(max_length=100)]


class OrNode(RequestModel):
    any: Annotated[list[Condition], Field(max_length=100)]


class NotNode(RequestModel):
    none: Condition


Condition: TypeAlias = CompareNode | ExistsNode | AndNode | OrNode | NotNode


def filter_of(node: Condition) -> Filter:
    """A tree of conditions as a filter of the library."""
    if isinstance(node, AndNode):
        return And(tuple(filter_of(child) for child in node.all))
    if isinstance(node, OrNode):
        return Or(tuple(filter_of(child) for child in node.any))
    if isinstance(node, NotNode):
        return Not(filter_of(node.none))
    if isinstance(node, ExistsNode):
        return Exists(node.exists)
    value = tuple(node.value) if isinstance(node.value, list) else node.value
    return Compare(node.field, node.op, value)


Conditions: TypeAlias = Annotated[
    list[Text],
    Field(
        max_length=50,
        description="Conditions as `category=shoes`, `price<50`, `tags has red`, `size in 38,39`, "
        "`brand exists`; all must hold.",
    ),
]


def where_of(where: list[str], condition: Condition | None) -> Filter | None:
    """One filter for conditions as text and as a tree, all of which must hold; None for none."""
    parts: list[Filter] = [parse_where(where)] if where else []
    if condition is not None:
        parts.append(filter_of(condition))
    return And(tuple(parts)) if parts else None
