"""A vector index on disk: data files, and a small JSON file that names them and vouches for them.

Data goes to new names first; replacing the JSON file is what makes it current. A process killed
anywhere in between leaves the old state in place.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cbir.files import sync_folder

log = logging.getLogger(__name__)

FORMAT = 2
NAME = "index.json"
LOCK = "lock"
BUILDING = "building"
"""What the name of a file begins with that is written ahead of saving."""
ABANDONED_S = 24 * 3600.0

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Part:
    """One data file of an index."""

    file: str
    size: int
    """Bytes that count; there may be more in a file that is appended to."""
    crc32: int | None
    """Of those bytes; None where another part holds checksums."""


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What the JSON file says of the data files."""

    gallery_id: str
    generation: int
    kind: str
    dim: int
    count: int
    built_count: int
    """How many images there were when the index was last built from nothing."""
    projection: str = ""
    """Digest of what was done to the embeddings; empty for nothing."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    format: int = FORMAT


def new_name(stem: str, suffix: str) -> str:
    """A file name that no other process uses."""
    return f"{stem}-{os.urandom(6).hex()}{suffix}"


def write_part(folder: Path, stem: str, suffix: str, data: Bytes) -> Part:
    """Write a data file under a new name, synced. Raises OSError."""
    name, view = new_name(stem, suffix), data.data
    try:
        _write_synced(folder / name, view)
    except OSError:
        (folder / name).unlink(missing_ok=True)
        raise
    return Part(name, len(view), zlib.crc32(view))


def read_part(folder: Path, part: Part) -> Bytes | None:
    """A data file's content, mapped; None when it is missing or damaged."""
    try:
        data = np.memmap(folder / part.file, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        log.info("%s: unreadable vector index (%s)", folder, error)
        return None
    if len(data) != part.size or zlib.crc32(data.data) != part.crc32:
        log.info("%s: the vector index is damaged", folder)
        return None
    return data


def save_manifest(folder: Path, header: IndexManifest) -> None:
    """Make a header's parts the current ones, inside `saving`; all other data files go away."""
    temporary = folder / new_name("header", ".json")
    try:
        _write_synced(temporary, json.dumps(asdict(header)).encode())
        temporary.replace(folder / NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    kept = {part.file for part in header.parts.values()} | {NAME, LOCK}
    for path in folder.iterdir():
        if path.name not in kept and not _being_built(path):
            with suppress(PermissionError):  # Windows keeps a file that another process has mapped
                path.unlink(missing_ok=True)


def load_manifest(folder: Path) -> IndexManifest | None:
    """What is current, or None when that is missing, damaged or of another version."""
    try:
        data: dict[str, Any] = json.loads((folder / NAME).read_text())
        parts = {name: Part(**part) for name, part in data.pop("parts").items()}
        header = IndexManifest(**data, parts=parts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.info("%s: unreadable vector index (%s)", folder, error)
        return None
    return header if header.format == FORMAT else None


def complete(folder: Path, header: IndexManifest) -> bool:
    """Whether every data file of a header has its size at least; their content is not read."""
    try:
        return all((folder / p.file).stat().st_size >= p.size for p in header.parts.values())
    except OSError:
        return False


@contextmanager
def saving(folder: Path) -> Iterator[bool]:
    """Whether this process alone may save now; another that does so makes it unnecessary."""
    folder.mkdir(exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows: two that save at once leave one of two whole states
            pass
        except BlockingIOError:
            yield False
            return
        yield True


def _being_built(path: Path) -> bool:
    """Whether another process may be writing this file before it saves anything."""
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return True
    return path.name.startswith(BUILDING) and age < ABANDONED_S


def _write_synced(path: Path, data: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
