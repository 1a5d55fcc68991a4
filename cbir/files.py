"""Files that are whole or not there, and the library that reads and writes Parquet."""

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
    """A name beside `path` to write to; synced and renamed to `path` at the end, and not before.

    Raises OSError.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def is_unfinished(file: Path, name: str) -> bool:
    """Whether a file was to become `name` by `replacing` when its process was killed."""
    return file.name.startswith(f".{name}.") and file.suffix == ".tmp"


def sync_folder(folder: Path) -> None:
    """Have what was made or renamed in a folder survive a loss of power. Raises OSError."""
    if os.name == "nt":  # Windows cannot open a folder, and syncs renames by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def import_pyarrow(instead: str) -> tuple[Any, Any]:
    """`pyarrow` and `pyarrow.parquet`. Raises MissingExtraError, which names what does without."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"Parquet needs pyarrow: pip install 'cbir[parquet]', or {instead}"
        ) from error
    return pyarrow, pyarrow.parquet
