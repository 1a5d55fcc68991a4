"""A vector index on disk: a data file, and a small JSON file that names it and can vouch for it.

The data goes to a new name first; replacing the JSON file is what makes it current. A process
killed anywhere in between leaves the old pair in place.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

FORMAT = 1
NAME = "index.json"

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """What the JSON file says of the data file."""

    gallery_id: str
    generation: int
    kind: str
    dim: int
    count: int
    built_count: int
    """How many images there were when the index was last built from nothing."""
    projection: str = ""
    """Digest of what was done to the embeddings; empty for nothing."""
    file: str = ""
    size: int = 0
    crc32: int = 0
    format: int = FORMAT


def save(folder: Path, header: IndexHeader, data: Bytes) -> None:
    """Write both files, synced, so that they are replaced together or not at all."""
    folder.mkdir(exist_ok=True)
    name = f"index-{header.generation:08d}-{os.urandom(4).hex()}.faiss"
    view = data.data
    full = asdict(header) | {"file": name, "size": len(view), "crc32": zlib.crc32(view)}
    try:
        _write_synced(folder / name, view)
        temporary = folder / f"{name}.json"
        _write_synced(temporary, json.dumps(full).encode())
        temporary.replace(folder / NAME)
    except OSError:
        (folder / name).unlink(missing_ok=True)
        (folder / f"{name}.json").unlink(missing_ok=True)
        raise
    _sync_folder(folder)
    for old in folder.glob("index-*"):
        if not old.name.startswith(name):
            old.unlink(missing_ok=True)


def header(folder: Path) -> IndexHeader | None:
    """What the current JSON file says, if its data file has that size at least; unchecked."""
    try:
        found = IndexHeader(**json.loads((folder / NAME).read_text()))
        complete = (folder / found.file).stat().st_size == found.size
    except (OSError, ValueError, TypeError):
        return None
    return found if complete and found.format == FORMAT else None


def load(folder: Path) -> tuple[IndexHeader, Bytes] | None:
    """The current pair, or None when it is missing or damaged."""
    for _ in range(3):  # another process may replace the pair between our two reads
        try:
            header = IndexHeader(**json.loads((folder / NAME).read_text()))
            data = np.memmap(folder / header.file, dtype=np.uint8, mode="r")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError) as error:
            log.info("%s: unreadable vector index (%s)", folder, error)
            return None
        if header.format != FORMAT or len(data) != header.size:
            return None
        if zlib.crc32(data.data) != header.crc32:
            log.info("%s: the vector index is damaged", folder)
            return None
        return header, data
    return None


def _write_synced(path: Path, data: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and syncs renames by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
