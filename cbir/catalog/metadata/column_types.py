"""Column types for exports: the type that holds all values of a metadata field."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Connection, and_, case, func, select

from cbir.catalog.schema import field_values, fields
from cbir.metadata import FieldType

ColumnType = Literal[
    "text",
    "integer",
    "number",
    "boolean",
    "date",
    "time",
    "time in UTC",
    "texts",
    "integers",
    "numbers",
]

EXACT = 2**53
"""A float represents every whole number up to this one."""


def column_types(connection: Connection) -> dict[str, ColumnType]:
    """The column type of every field, by name; fields with values of several types are left out."""
    number, text = field_values.c.number, field_values.c.text
    broken = case((and_(number == func.round(number), func.abs(number) < EXACT), 0), else_=1)
    query = (
        select(
            fields.c.name,
            fields.c.type,
            func.count().label("held"),
            func.count(number).label("numbers"),
            func.sum(case((number.is_(None), 0), else_=broken)).label("broken"),
            func.min(func.length(text)).label("shortest"),
            func.max(func.length(text)).label("longest"),
            func.sum(case((text.like("%+00:00"), 1), else_=0)).label("zoned"),
        )
        .join(field_values, field_values.c.field_id == fields.c.id)
        .group_by(fields.c.id, fields.c.name, fields.c.type)
    )
    types: dict[str, ColumnType | None] = {}
    for row in connection.execute(query.order_by(fields.c.name)):
        # A name that occurs twice has two types.
        types[row.name] = None if row.name in types else _column_type(row.type, row)
    return {name: kind for name, kind in types.items() if kind is not None}


def _column_type(kind: FieldType, row: Any) -> ColumnType | None:
    if kind == "number":
        return "number" if row.broken else "integer"
    if kind == "list":
        if row.numbers == 0:
            return "texts"
        if row.numbers < row.held:
            return None
        return "numbers" if row.broken else "integers"
    if kind == "date":
        if row.longest == 10:
            return "date"
        if row.shortest == 10 or 0 < row.zoned < row.held:
            return None
        return "time in UTC" if row.zoned else "time"
    return kind
