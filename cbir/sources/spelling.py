"""Finds the file that a manifest names as another system or program spells it.

A manifest made on Windows has back slashes and does not care for case; one made on a Mac may have
another Unicode form than the files (é as one character or as two); a spreadsheet adds spaces; a
program writes `%20`. A path is taken as it stands if there is such a file, and otherwise as the one
file that it can mean.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from unicodedata import normalize
from urllib.parse import unquote

__all__ = ["PathFinder", "is_windows_path"]

FOLDERS_KEPT = 64
"""Number of folders whose names stay in memory."""

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\]+\\")


def is_windows_path(path: str) -> bool:
    r"""Whether a path is an absolute one of Windows: `C:\img\a.jpg`, `\\nas\share\a.jpg`."""
    return os.name != "nt" and _WINDOWS.match(path) is not None


class PathFinder:
    """Finds files below a folder by paths that are spelled differently."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: OrderedDict[str, dict[str, list[str]]] = OrderedDict()

    def find(self, path: str) -> str | None:
        """The absolute path of the one file that `path` can mean, or None."""
        for spelling in _spellings(path):
            present = self._walk(spelling)
            if present is not None:
                return present
        return None

    def _walk(self, path: str) -> str | None:
        place = os.sep if path.startswith(os.sep) else self._folder
        for name in path.split("/"):
            if name in ("", "."):
                continue
            step = os.path.join(place, name)  # noqa: PTH118  (need not be UTF-8)
            if not os.path.lexists(step):
                alike = self._alike(place, name)
                if alike is None:
                    return None
                step = os.path.join(place, alike)  # noqa: PTH118
            place = step
        return place

    def _alike(self, folder: str, name: str) -> str | None:
        """The one name in a folder that is `name` in another Unicode form or case."""
        if folder not in self._names:
            self._names[folder] = _names_in(folder)
            if len(self._names) > FOLDERS_KEPT:
                self._names.popitem(last=False)
        names = self._names[folder].get(_folded(name), [])
        same = [each for each in names if normalize("NFC", each) == normalize("NFC", name)]
        for choice in (same, names):
            if len(choice) == 1:
                return choice[0]
        return None


def _spellings(path: str) -> Iterator[str]:
    variants = [path, path.strip()]
    if os.sep == "/":
        variants += [each.replace("\\", "/") for each in variants]
    if "%" in path:
        variants += [unquote(each) for each in variants]
    yield from dict.fromkeys(each for each in variants if "\0" not in each)


def _names_in(folder: str) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    try:
        for name in os.listdir(folder):  # noqa: PTH208  (need not be UTF-8)
            names.setdefault(_folded(name), []).append(name)
    except OSError:  # then there is no file below it
        pass
    return names


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()
