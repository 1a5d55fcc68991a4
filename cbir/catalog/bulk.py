"""Many rows at once: as many values as one statement takes, and past what SQLAlchemy does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import JSON, Connection, Table, insert

ROWS_PER_STATEMENT = 1000
"""Names or ids bound to one statement: well below SQLite's limit, few round trips."""

T = TypeVar("T")


def parts(values: Sequence[T], size: int = ROWS_PER_STATEMENT) -> Iterator[Sequence[T]]:
    """A long list of values in pieces that fit one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows whose values stand in the order of the table's columns, JSON as its text.

    Preparing each row as SQLAlchemy does costs twice as much as SQLite takes to insert it.
    """
    if not rows:
        return
    names = [column.name for column in table.columns]
    if connection.dialect.positional:
        statement = str(insert(table).compile(dialect=connection.dialect, column_keys=names))
        connection.exec_driver_sql(statement, list(rows))
        return
    texts = {column.name for column in table.columns if isinstance(column.type, JSON)}
    values = [dict(zip(names, row, strict=True)) for row in rows]
    for value in values:
        value.update({name: json.loads(value[name]) for name in texts})
    connection.execute(insert(table), values)
