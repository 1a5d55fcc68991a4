"""The SQLite dialect: its files, transactions, commits and errors."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import weakref
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cbir.catalog.sqlite_readonly import FrozenConnection, connect_frozen, why_read_only
from cbir.config import GalleryConfig
from cbir.errors import GalleryError, GalleryReadOnlyError, GalleryUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

__all__ = ["SqliteDialect", "read_config_file"]

BUSY_TIMEOUT_S = 30
"""Longest wait for another writer in seconds; `?timeout=5` in the URL overrides it."""

FAST_TIMEOUT_S = 0.1

RESTORE = "; restore it from a backup or make another: 'cbir index SOURCE --gallery DIR'"
NEXT_STEPS = {
    "locked": "; another process is writing to it, try again when it has finished",
    "may not read": "; ask its owner for the right to read it",
    "readonly": "; make the file and its folder writable",
    "unable to open": "; the folder must exist and be writable",
    "full": "; free some space and run the command again, nothing committed is lost",
    "malformed": RESTORE,
    "not a database": RESTORE,
    "no such table": "; it is not a cbir catalogue",
}
"""Part of an error's text → the next step for the user."""
TRANSIENT = ("locked", "full")
"""Parts of the texts of transient errors."""


class SqliteDialect:
    """`Dialect` of SQLite: a file in WAL mode that syncs every commit."""

    def resolve(self, url: URL) -> URL:
        if url.host or url.username or url.password:
            raise GalleryError("SQLite has no hosts and no users; write sqlite:////folder/file")
        if not url.database or url.database == ":memory:":
            raise GalleryError("a catalogue in memory ends with its process; name a file")
        if url.database.startswith("file:"):
            return url
        return url.set(database=str(Path(url.database).absolute()))

    def is_missing(self, url: URL) -> bool:
        file = url.database or ""
        return not file.startswith("file:") and not Path(file).is_file()

    def place(self, url: URL) -> str:
        return url.database or url.render_as_string()

    def set_up(self, engine: Engine) -> None:
        from sqlalchemy import event

        timeout = float(str(engine.url.query.get("timeout", BUSY_TIMEOUT_S)))

        def connect(connection: Any, _record: Any) -> None:
            _set_up(connection, timeout)

        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", connect)
        event.listen(engine, "checkout", _check_out)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "commit", _end)

    def last_commit(self, connection: Any) -> int:
        if isinstance(connection, FrozenConnection) and not connection.locks:
            return connection.last_commit()
        return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def next_step(self, reason: str) -> str:
        return next((step for sign, step in NEXT_STEPS.items() if sign in reason), "")

    def is_transient(self, reason: str) -> bool:
        return any(sign in reason for sign in TRANSIENT)

    def temporary_copy(self, engine: Engine) -> Engine:
        from sqlalchemy import create_engine

        folder = tempfile.mkdtemp(prefix="cbir-")
        file = Path(folder, "catalog.sqlite")
        with closing(engine.raw_connection()) as source, closing(sqlite3.connect(file)) as target:
            assert source.dbapi_connection is not None
            source.dbapi_connection.backup(target)
        copy = create_engine(engine.url.set(database=str(file)))
        self.set_up(copy)
        weakref.finalize(copy.pool, shutil.rmtree, folder, ignore_errors=True)
        return copy

    def problems(self, connection: Connection) -> list[str]:
        lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return [str(line) for line in lines if line != "ok"]

    def read_config_fast(self, url: str) -> GalleryConfig | None:
        _, _, file = url.partition("?")[0].partition(":///")
        return read_config_file(Path(unquote(file)))


def read_config_file(file: Path) -> GalleryConfig | None:
    """The configuration in a catalogue's file; None if it cannot be read at once."""
    try:
        with closing(_open_fast(file)) as connection:
            (config,) = connection.execute("SELECT config FROM state").fetchone()
        return GalleryConfig.from_json(json.loads(config))
    except (sqlite3.Error, OSError, ValueError, TypeError, KeyError):
        return None


def _open_fast(file: Path) -> sqlite3.Connection:
    if why_read_only(file):
        return connect_frozen(file, timeout=FAST_TIMEOUT_S)
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=FAST_TIMEOUT_S)


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """A connection to a file that can only be read; None for the usual one."""
    name = str(arguments[0])
    if name.startswith("file:") or not why_read_only(Path(name)):
        return None
    return connect_frozen(Path(name), **options)


def _check_out(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool connect again if the file has changed."""
    from sqlalchemy.exc import DisconnectionError

    if isinstance(connection, FrozenConnection) and connection.is_outdated():
        raise DisconnectionError


def _end(connection: Connection) -> None:
    frozen = connection.connection.dbapi_connection
    if isinstance(frozen, FrozenConnection) and frozen.was_changed():
        raise GalleryUnavailableError(
            "it was changed by its owner while it was being read; run the command again",
            gallery=frozen.file,
        )


def _set_up(connection: Any, timeout: float) -> None:
    # The driver must not begin transactions by itself: `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {round(timeout * 1000)}")
    if isinstance(connection, FrozenConnection):
        cursor.execute("PRAGMA cache_size = -4096")
        cursor.close()
        return
    # Before the first table is made: a page of 16 kB holds several embeddings, one of 4 kB one.
    cursor.execute("PRAGMA page_size = 16384")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA wal_autocheckpoint = 4096")
    # NORMAL would lose the last commits at a loss of power; one sync per batch is cheap.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # 4 MB: more saves no time, as the system caches the file, and would cost memory.
    cursor.execute("PRAGMA cache_size = -4096")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails if another wrote in between.
    writes = connection.get_execution_options().get("writes", False)
    raw = connection.connection.dbapi_connection
    if writes and (refusal := connection.get_execution_options().get("refuses_writes")):
        raise refusal
    if writes and isinstance(raw, FrozenConnection):
        raise GalleryReadOnlyError(
            f"it can only be read: {why_read_only(raw.file)}; to change it, copy it to a folder of "
            "yours, or run this as a user who may write there",
            gallery=raw.file,
        )
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
