"""Opens SQLite files that can only be read: on a read-only mount, or those of another user.

A file in WAL mode wants to write two files beside it even to be read. Which way is left depends on
what lies there:

- with both files, SQLite reads them as they are, and takes part in the owner's locks;
- with the log alone, left by a killed process, the connection builds its index in memory;
- with neither, the file is complete, and opened as one that nobody changes.

In the last two ways SQLite takes no locks. A change by the owner is then seen by the file's size
and time: before a transaction, which opens the file again, and at its end, which fails.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["FrozenConnection", "connect_frozen", "why_read_only"]

State: TypeAlias = "tuple[tuple[int, int] | None, ...]"
"""Size and modification time of the database and of its log; None where there is none."""


class FrozenConnection(sqlite3.Connection):
    """A connection to a file that can only be read."""

    file: Path
    state: State
    locks: bool
    """Whether SQLite locks the file against changes while it is read."""

    def is_outdated(self) -> bool:
        """Whether the file has changed since it was opened, without SQLite noticing."""
        return not self.locks and _state(self.file) != self.state

    def was_changed(self) -> bool:
        """Whether pages of the file itself have changed, so that what was read may be mixed."""
        return not self.locks and _state(self.file)[0] != self.state[0]

    def last_commit(self) -> int:
        """A number that changes with every commit."""
        return hash(_state(self.file))


def why_read_only(file: Path) -> str:
    """Why a database's file cannot be written by this process; empty if it can, or is missing."""
    folder = file.parent
    if not file.is_file():
        return ""
    if hasattr(os, "statvfs") and os.statvfs(file).f_flag & os.ST_RDONLY:
        return "its file system is mounted read-only"
    if not _may(file, os.W_OK):
        return "this user may not write its file"
    beside = (_beside(file, "-wal"), _beside(file, "-shm"))
    if not _may(folder, os.W_OK | os.X_OK) and not all(_may(f, os.W_OK) for f in beside):
        return "this user may not write in its folder"
    return ""


def connect_frozen(file: Path, **options: Any) -> FrozenConnection:
    """Open a file that can only be read; `options` as of `sqlite3.connect`. Raises sqlite3.Error.

    An error of a damaged file may only be raised by the first statement.
    """
    if not _may(file, os.R_OK):
        raise sqlite3.OperationalError("this user may not read it")
    state = _state(file)
    log_bytes = 0 if state[1] is None else state[1][0]
    locks = log_bytes > 0 and _may(_beside(file, "-shm"), os.R_OK)
    if locks:
        way = "mode=ro"
    elif log_bytes:
        way = "mode=ro&vfs=unix-none"  # shares no index of the log, so it needs no locks
    else:
        way = "mode=ro&immutable=1"
    uri = f"{file.absolute().as_uri()}?{way}"
    connection = sqlite3.connect(uri, uri=True, factory=FrozenConnection, **options)
    if log_bytes and not locks:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # the log's index is in memory
    connection.file, connection.state, connection.locks = file, state, locks
    return connection


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _state(file: Path) -> State:
    return tuple(_look(path) for path in (file, _beside(file, "-wal")))


def _look(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
