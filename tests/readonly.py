"""Folders that can really only be read, also where the tests run as root."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OVERRIDE = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: with them, root passes every check of permissions."""
VERSION_3 = 0x20080522


@contextmanager
def only_readable(folder: Path) -> Iterator[None]:
    """Nobody can write to the folder and the files below it from this thread and its children."""
    everything = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in everything}
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with _checked_as_anybody():
            with pytest.raises(PermissionError):  # or else the test would show nothing
                (folder / "probe").touch()
            assert not os.access(folder, os.W_OK, effective_ids=True)
            yield
    finally:
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)


@contextmanager
def _checked_as_anybody() -> Iterator[None]:
    """Root gives up its right to pass checks of permissions, for a while and in this thread."""
    if os.geteuid() != 0:
        yield
        return
    before = _capabilities()
    without = list(before)
    without[0] &= ~OVERRIDE  # effective; what is permitted may be taken back
    _set_capabilities(without)
    try:
        yield
    finally:
        _set_capabilities(before)


def _capabilities() -> list[int]:
    words = (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    assert ctypes.CDLL(None, use_errno=True).capget(header, words) == 0
    return list(words)


def _set_capabilities(capabilities: list[int]) -> None:
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)(*capabilities)
    assert ctypes.CDLL(None, use_errno=True).capset(header, words) == 0
