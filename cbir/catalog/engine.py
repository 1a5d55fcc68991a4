"""Database engines and their transactions: commits are durable, writers take turns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import JSON, URL, Connection, Engine, Table, create_engine, insert
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError

from cbir.catalog.dialects import Dialect, load_dialect, parse_url
from cbir.errors import GalleryError, GalleryUnavailableError

__all__ = [
    "ROWS_PER_STATEMENT",
    "connect",
    "dialect_of",
    "insert_rows",
    "parts",
    "place_of",
    "reading",
    "writing",
]

VALUES_PER_STATEMENT = 900
"""Most values in a statement that inserts rows; every SQLite takes 999."""
ROWS_PER_STATEMENT = 1000
"""Number of values bound to one statement: below every database's limit, few round trips."""

T = TypeVar("T")


def connect(url: str | URL) -> Engine:
    """Create an engine for a catalogue's URL. Raises GalleryError for an unknown database."""
    engine = create_engine(parse_url(url))
    dialect_of(engine).set_up(engine)
    return engine


def dialect_of(engine: Engine) -> Dialect:
    """The dialect of an engine's database."""
    return load_dialect(engine.url.get_backend_name())


def place_of(engine: Engine) -> str:
    """The name of the engine's database for messages."""
    return dialect_of(engine).place(engine.url)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads a consistent snapshot."""
    with _clear_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; it waits for other writers and commits at the end."""
    with (
        _clear_errors(engine),
        engine.connect() as connection,
        connection.execution_options(writes=True).begin(),
    ):
        yield connection


@contextmanager
def _clear_errors(engine: Engine) -> Iterator[None]:
    """Turn operational errors (locked, read-only, full, damaged) into a GalleryError."""
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise  # a value that does not fit, or a bug in cbir; the database itself is in order
    except DatabaseError as error:
        dialect, reason = dialect_of(engine), str(error.orig)
        kind = GalleryUnavailableError if dialect.is_transient(reason) else GalleryError
        step = dialect.next_step(reason)
        raise kind(f"{reason}{step}", gallery=dialect.place(engine.url)) from error


def parts(values: Sequence[T], size: int = ROWS_PER_STATEMENT) -> Iterator[Sequence[T]]:
    """Split a list of values into parts that fit one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows with their values in the order of the table's columns, JSON as text.

    Bypasses SQLAlchemy's processing of each row, which costs twice as much as SQLite's insert. One
    statement inserts many rows: the driver lets other threads run, and waits for them, after each.
    """
    if not rows:
        return
    names = [column.name for column in table.columns]
    if connection.dialect.positional:
        statement = str(insert(table).compile(dialect=connection.dialect, column_keys=names))
        head, _, row = statement.rpartition(" VALUES ")
        many = VALUES_PER_STATEMENT // len(names)
        whole = len(rows) - len(rows) % many
        if whole:
            several = f"{head} VALUES {', '.join([row] * many)}"
            groups = (rows[start : start + many] for start in range(0, whole, many))
            connection.exec_driver_sql(several, [tuple(chain(*group)) for group in groups])
        if rest := list(rows[whole:]):
            connection.exec_driver_sql(statement, rest)
        return
    texts = {column.name for column in table.columns if isinstance(column.type, JSON)}
    values = [dict(zip(names, row, strict=True)) for row in rows]
    for value in values:
        value.update({name: json.loads(value[name]) for name in texts})
    connection.execute(insert(table), values)
