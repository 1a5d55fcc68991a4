"""SQLAlchemy engines set up so that what is committed stays, and writers take turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError

from cbir.errors import GalleryError, GalleryUnavailableError

BUSY_TIMEOUT_S = 30


def connect(url: str | URL) -> Engine:
    """An engine for any SQLAlchemy URL; SQLite runs in WAL mode and syncs every commit."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that reads a consistent snapshot."""
    with _clear_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes; it waits for other writers and commits at the end."""
    with (
        _clear_errors(engine),
        engine.connect() as connection,
        connection.execution_options(writes=True).begin(),
    ):
        yield connection


def _set_up_sqlite(dbapi_connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: `_begin_sqlite` says when and how.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    # Before the first table: a page of 16 kB holds several embeddings where one of 4 kB holds one.
    cursor.execute("PRAGMA page_size = 16384")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA wal_autocheckpoint = 4096")
    # NORMAL would lose the last commits when the power goes; one sync per batch is cheap.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # 4 MB: more saves no time, for the system caches the file, and memory would grow with it.
    cursor.execute("PRAGMA cache_size = -4096")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and then writes fails when another wrote between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _clear_errors(engine: Engine) -> Iterator[None]:
    """Turn what a user can meet (locked, read-only, full, damaged) into a GalleryError."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise  # a mistake of ours, not the user's
    except DatabaseError as error:
        where = engine.url.database or engine.url.render_as_string()
        reason = str(error.orig)
        step = next((step for sign, step in _NEXT_STEPS.items() if sign in reason), "")
        passing = any(sign in reason for sign in _PASSING)
        kind = GalleryUnavailableError if passing else GalleryError
        raise kind(f"{reason}{step}", gallery=where) from error


_PASSING = ("locked", "full")
"""What may be over in a moment."""

_NEXT_STEPS = {
    "locked": "; another process is writing to it, try again when it has finished",
    "readonly": "; make the file and its folder writable",
    "unable to open": "; the folder must exist and be writable",
    "full": "; free some space and run the command again, nothing committed is lost",
    "malformed": "; restore it from a backup or run 'cbir index' into a new gallery",
    "not a database": "; restore it from a backup or run 'cbir index' into a new gallery",
    "no such table": "; it is not a cbir catalogue",
}
