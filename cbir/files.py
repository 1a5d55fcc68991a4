"""Atomic writing of files, and the import of the Parquet library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cbir.errors import MissingExtraError

__all__ = ["import_pyarrow", "is_unfinished", "replacing", "sync_folder"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, synced and renamed to `path` when the block succeeds.

    A block that fails leaves `path` as it was. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_unfinished(file: Path, name: str) -> bool:
    """Whether a file is a temporary one of `replacing(name)`, left by a killed process."""
    return file.name.startswith(f".{name}.") and file.suffix == ".tmp"


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries, so that new names survive a loss of power. Raises OSError."""
    if os.name == "nt":  # Windows cannot open a folder, and syncs renames by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def import_pyarrow(instead: str) -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`.

    Raises MissingExtraError, whose message offers `instead` as the way without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"Parquet needs pyarrow: pip install 'cbir[parquet]', or {instead}"
        ) from error
    return pyarrow, pyarrow.parquet
