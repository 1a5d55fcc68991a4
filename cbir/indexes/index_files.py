"""A vector index on disk: data files, and a manifest with their names and checksums.

Data is written under new names first; replacing the manifest makes it current. A process killed at
any point leaves the old index in place.
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
"""Prefix of files that are written before the index is saved."""
ABANDONED_S = 24 * 3600.0
"""Age in seconds above which a file being built counts as left by a killed process."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Part:
    """One data file of an index."""

    file: str
    size: int
    """Number of its valid bytes; a file that is appended to may be longer."""
    crc32: int | None
    """Checksum of these bytes; None where another part holds checksums."""


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """The state of an index and its data files: `index.json` in the index's folder."""

    gallery_id: str
    generation: int
    kind: str
    dim: int
    count: int
    built_count: int
    """Number of images when the index was last rebuilt."""
    projection: str = ""
    """Digest of the projection of its vectors; empty for plain embeddings."""
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


def save_manifest(folder: Path, manifest: IndexManifest) -> None:
    """Make a manifest the current one, within `saving`; data files it does not name are deleted."""
    temporary = folder / new_name("manifest", ".json")
    try:
        _write_synced(temporary, json.dumps(asdict(manifest)).encode())
        temporary.replace(folder / NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    named = {part.file for part in manifest.parts.values()} | {NAME, LOCK}
    for path in folder.iterdir():
        if path.name not in named and not _being_built(path):
            with suppress(PermissionError):  # Windows cannot delete a file that is mapped elsewhere
                path.unlink(missing_ok=True)


def load_manifest(folder: Path) -> IndexManifest | None:
    """Read the current manifest; None when it is missing, damaged or of another version."""
    try:
        data: dict[str, Any] = json.loads((folder / NAME).read_text())
        parts = {name: Part(**part) for name, part in data.pop("parts").items()}
        manifest = IndexManifest(**data, parts=parts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.info("%s: unreadable vector index (%s)", folder, error)
        return None
    return manifest if manifest.format == FORMAT else None


def complete(folder: Path, manifest: IndexManifest) -> bool:
    """Whether every data file of a manifest is long enough; their content is not read."""
    try:
        return all((folder / p.file).stat().st_size >= p.size for p in manifest.parts.values())
    except OSError:
        return False


def current_manifest(folder: Path, gallery_id: str, generation: int) -> IndexManifest | None:
    """The manifest of a complete index of this gallery and generation, or None."""
    manifest = load_manifest(folder)
    if manifest is None or (manifest.gallery_id, manifest.generation) != (gallery_id, generation):
        return None
    return manifest if complete(folder, manifest) else None


@contextmanager
def saving(folder: Path) -> Iterator[bool]:
    """Lock for saving: False while another process saves, which makes a save unnecessary."""
    folder.mkdir(exist_ok=True)
    with (folder / LOCK).open("ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows has no such lock; of two concurrent saves one wins, complete
            pass
        except BlockingIOError:
            yield False
            return
        yield True


def _being_built(path: Path) -> bool:
    """Whether another process may still be writing this unsaved file."""
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
