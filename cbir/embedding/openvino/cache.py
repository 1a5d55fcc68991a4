"""Networks in OpenVINO's format, kept in the user's cache directory.

    <cache>/networks/<name>/network.xml, network.bin     the network
                            export.json                  their SHA-256, written last
                            compiled/                    OpenVINO's own cache

A folder is built beside its place, fsynced and renamed into it, so it is there as a whole or not
at all; one that was damaged since counts as none.
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

__all__ = ["keep_network", "kept_network", "save_network"]

FORMAT = 1
"""Raised when networks are built differently, so that older ones are made again."""
FILES = ("network.xml", "network.bin")
SEAL = "export.json"


def kept_network(name: str) -> Path | None:
    """The .xml file of a kept network, if it is in the cache and undamaged; needs no torch."""
    folder = _folder(name)
    return folder / FILES[0] if _is_complete(folder) else None


def keep_network(name: str, write: Callable[[Path], object]) -> Path:
    """Keeps under a name what `write` puts into a folder: `network.xml` and `network.bin`.

    Several processes may do so at once; one of them wins. Raises CbirError if the cache is not
    writable.
    """
    folder = _folder(name)
    building = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        building.mkdir(parents=True)
        write(building)
        _seal(building)
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
    """Writes an OpenVINO model into a folder as the two files of a kept network; its .xml file."""
    network = folder / FILES[0]
    import_openvino().save_model(model, network, compress_to_fp16=False)
    return network


def _folder(name: str) -> Path:
    return cache_dir() / "networks" / name


def _seal(folder: Path) -> None:
    """Writes down what is in a folder, and sees it onto the disk."""
    seal = {"format": FORMAT, "sha256": {name: sha256_of(folder / name) for name in FILES}}
    (folder / SEAL).write_text(json.dumps(seal, indent=1))
    for name in (*FILES, SEAL):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds just what its seal says."""
    try:
        seal = json.loads((folder / SEAL).read_text())
        digests = {name: sha256_of(folder / name) for name in FILES}
    except (OSError, ValueError, CbirError):
        return False
    return bool(seal == {"format": FORMAT, "sha256": digests})


def _move_into_place(building: Path, folder: Path) -> None:
    """Renames a finished folder; one that another process finished first is left as it is."""
    try:
        building.rename(folder)
    except OSError:
        if _is_complete(folder):
            return
        damaged = building.with_name(f"{building.name}-damaged")
        folder.rename(damaged)
        building.rename(folder)
        shutil.rmtree(damaged, ignore_errors=True)
