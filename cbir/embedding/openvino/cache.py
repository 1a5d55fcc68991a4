"""The cache of networks in OpenVINO's format, in the user's cache directory.

    <cache>/networks/<name>/network.xml, network.bin     the network
                            export.json                  their SHA-256, written last
                            compiled/                    OpenVINO's own cache

A folder is written under another name, synced and renamed, so that it is complete or absent. A
folder that was damaged later counts as absent.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cbir.config import cache_dir
from cbir.embedding.openvino.importing import import_openvino
from cbir.embedding.weights import sha256_of
from cbir.errors import CbirError

__all__ = ["cache_network", "cached_network", "save_network"]

FORMAT = 1
"""Version of the build; increased when networks are built differently, to replace older ones."""
FILES = ("network.xml", "network.bin")
MANIFEST = "export.json"


def cached_network(name: str) -> Path | None:
    """The .xml file of a network, if it is in the cache and undamaged; needs no torch."""
    folder = _folder(name)
    return folder / FILES[0] if _is_complete(folder) else None


def cache_network(name: str, write: Callable[[Path], object]) -> Path:
    """Stores a network under a name; `write` puts `network.xml` and `network.bin` into a folder.

    Several processes may do this at once; one of them wins. Raises CbirError if the cache is not
    writable.
    """
    folder = _folder(name)
    building = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        building.mkdir(parents=True)
        write(building)
        _write_manifest(building)
        _move_into_place(building, folder)
    except OSError as error:
        raise CbirError(
            f"cannot keep the exported network in {folder}: {error.strerror}; "
            f"make it writable, or name another folder in CBIR_CACHE_DIR"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder / FILES[0]


def save_network(model: Any, folder: Path) -> Path:
    """Writes an OpenVINO model into a folder as a network's two files; returns the .xml file."""
    network = folder / FILES[0]
    import_openvino().save_model(model, network, compress_to_fp16=False)
    return network


def _folder(name: str) -> Path:
    return cache_dir() / "networks" / name


def _write_manifest(folder: Path) -> None:
    """Writes the SHA-256 of a folder's files, and syncs all of them to disk."""
    manifest = {"format": FORMAT, "sha256": {name: sha256_of(folder / name) for name in FILES}}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for name in (*FILES, MANIFEST):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds the files that its manifest names, undamaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        digests = {name: sha256_of(folder / name) for name in FILES}
    except (OSError, ValueError, CbirError):
        return False
    return bool(manifest == {"format": FORMAT, "sha256": digests})


def _move_into_place(building: Path, folder: Path) -> None:
    """Renames a finished folder, unless another process has finished it first."""
    try:
        building.rename(folder)
    except OSError:
        if _is_complete(folder):
            return
        damaged = building.with_name(f"{building.name}-damaged")
        folder.rename(damaged)
        building.rename(folder)
        shutil.rmtree(damaged, ignore_errors=True)
