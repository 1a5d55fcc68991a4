"""Rules of which files of a folder, bucket or tar are listed: patterns as in a `.gitignore`.

What a folder holds of other programs (thumbnails of a NAS, waste baskets, previews) is left out
unless a pattern says otherwise. Then each `.cbirignore` applies to its folder and what lies below,
and `exclude` to the whole source. The last pattern that matches decides; `!PATTERN` takes back.
With `include`, only files that match one of its patterns are listed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from cbir.errors import OptionError
from cbir.messages import shortened

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["DEFAULT_EXCLUDES", "IGNORE_FILE", "NOT_INCLUDED", "ListingRules", "Skipped"]

IGNORE_FILE = ".cbirignore"
"""A file of patterns for its folder and everything below it."""

DEFAULT_EXCLUDES = (
    "@eaDir/",  # Synology: thumbnails
    "#recycle/",
    "#snapshot/",
    "@Recycle/",  # QNAP
    "@Recently-Snapshot/",
    "@Thumb/",
    "$RECYCLE.BIN/",  # Windows
    "System Volume Information/",
    "lost+found/",
    "__MACOSX/",  # in archives made on a Mac
    "*.lrdata/",  # Lightroom: previews
    "*.cocatalog/Cache/",  # Capture One
    "CaptureOne/Cache/",
    "*.photoslibrary/resources/",  # Apple: renditions of the originals
    "*.photoslibrary/scopes/",
    "*.photoslibrary/private/",
    "*.aplibrary/Thumbnails/",
    "*.aplibrary/Previews/",
    "iPod Photo Cache/",
)
"""Folders that other programs make, whatever their case; hidden ones, as `.thumbnails`, are never
walked."""

NOT_INCLUDED = "--include"
"""The name under which `Skipped` counts images that no pattern of `include` matches."""

_FOLDER_ABOVE = "ps_d"
"""Pathspec's name for the slash after the folder by which a path matches."""

_BY_LENGTH = {length: [p for p in DEFAULT_EXCLUDES if p.count("/") == length] for length in (1, 2)}


class Skipped:
    """Counts of what a source does not list, from its last complete listing."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        """Suffix → number of files that are no images cbir reads; `""` for none."""
        self.excluded: Counter[str] = Counter()
        """Pattern → number of files, and of folders as a whole, that it leaves out."""

    def add_file(self, name: str) -> None:
        """Count a file that is no image."""
        suffix = os.path.splitext(name)[1].casefold()  # noqa: PTH122 (speed)
        plain = suffix.isascii() and suffix[1:].isalnum() and len(suffix) <= 11
        self.files[suffix if plain else ""] += 1


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The patterns of one place, which apply below a folder."""

    folder: str
    """Relative to the source's root, with `/` at its end; empty for the root."""
    patterns: tuple[tuple[str, bool, re.Pattern[str]], ...]
    """Each line with whether it excludes, and its regular expression."""
    spec: GitIgnoreSpec

    def decide(self, path: str, pattern: str | None) -> str | None:
        """The last pattern that matches a path itself, None if it takes back; else `pattern`.

        Folders above are decided before. `GitIgnoreSpec.check_file` counts their patterns in, so
        that `*` and `!*/` would leave out every folder.
        """
        below = path[len(self.folder) :]
        for line, excludes, regex in self.patterns:
            if any(_is_direct(match, below) for match in regex.finditer(below)):
                pattern = line if excludes else None
        return pattern


class ListingRules:
    """Decides by a path, relative to the source's root with `/` between names, what is listed."""

    def __init__(self, exclude: tuple[str, ...] = (), include: tuple[str, ...] = ()) -> None:
        """Raises OptionError for a pattern that cannot be one."""
        self._exclude = _compiled("", exclude, "--exclude") if exclude else None
        self._include = _compiled("", include, "--include") if include else None
        self._files: dict[str, _Patterns] = {}
        self.folder_pattern = lru_cache(maxsize=100_000)(self._folder_pattern)

    def forget_ignore_files(self) -> None:
        """Begin a listing anew: a `.cbirignore` may have gone since the last one."""
        self._files.clear()
        self.folder_pattern.cache_clear()

    def add_ignore_file(self, folder: str, text: str) -> None:
        """Take in the `.cbirignore` of a folder (`a/b`; empty for the root). Raises OptionError."""
        prefix = f"{folder}/" if folder else ""
        lines = tuple(text.removeprefix("\ufeff").splitlines())
        self._files[folder] = _compiled(prefix, lines, prefix + IGNORE_FILE)
        self.folder_pattern.cache_clear()

    def file_pattern(self, path: str) -> str | None:
        """The pattern that leaves out a file of a listed folder, or None."""
        pattern = self._decided(path, None)
        if pattern is None and self._include is not None:
            return None if self._include.spec.match_file(path) else NOT_INCLUDED
        return pattern

    def _folder_pattern(self, path: str) -> str | None:
        """The pattern that leaves out a folder of a listed folder, or None."""
        return self._decided(f"{path}/", _default_pattern(path))

    def pattern(self, path: str) -> str | None:
        """The pattern that leaves out a file, by any of the folders above it or itself, or None."""
        place = path.find("/")
        while place >= 0:
            if place and (pattern := self.folder_pattern(path[:place])) is not None:
                return pattern
            place = path.find("/", place + 1)
        return self.file_pattern(path)

    def _decided(self, path: str, pattern: str | None) -> str | None:
        """The pattern that excludes a path: the last one that matches, unless it takes back."""
        patterns = [*self._of_folders_above(path)] if self._files else []
        if self._exclude is not None:
            patterns.append(self._exclude)
        for each in patterns:
            pattern = each.decide(path, pattern)
        return pattern

    def _of_folders_above(self, path: str) -> list[_Patterns]:
        folders = [""] + [path[:n] for n in range(1, len(path) - 1) if path[n] == "/"]
        return [self._files[folder] for folder in folders if folder in self._files]


def _is_direct(match: re.Match[str], path: str) -> bool:
    """Whether a pattern matches a path itself and not only a folder above it."""
    return _FOLDER_ABOVE not in match.re.groupindex or match.end(_FOLDER_ABOVE) in (-1, len(path))


def _default_pattern(folder: str) -> str | None:
    """The pattern of DEFAULT_EXCLUDES that a folder matches, or None."""
    names = folder.casefold().split("/")
    for length, patterns in _BY_LENGTH.items():
        last = "/".join(names[-length:])
        for pattern in patterns:
            if fnmatchcase(last, pattern.casefold().removesuffix("/")):
                return pattern
    return None


def _compiled(folder: str, lines: tuple[str, ...], origin: str) -> _Patterns:
    from pathspec import GitIgnoreSpec

    option = origin.startswith("--")
    patterns = []
    for number, line in enumerate(lines, start=1):
        try:
            if option and not line.strip():
                raise ValueError
            for each in GitIgnoreSpec.from_lines([line]).patterns:
                if each.include is not None and each.regex is not None:  # else a comment
                    patterns.append((line.strip(), each.include, each.regex))
        except ValueError as error:
            place = origin if option else f"{origin}, line {number}"
            raise OptionError(
                f"{place}: {shortened(line)!r} is no pattern; write one as in a .gitignore: '*.gif'"
            ) from error
    return _Patterns(folder, tuple(patterns), GitIgnoreSpec.from_lines(lines))
