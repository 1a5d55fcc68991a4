"""Writes a shell script that removes copies, for a person to read and run; cbir never runs it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cbir.duplicates.result import Group, KnownFile
from cbir.errors import CbirError
from cbir.sources.paths import printable, uri_to_path

__all__ = ["Removal", "removal_script", "removals_of", "removals_of_known", "write_script"]

HEADER = """\
#!/bin/sh
# Removes copies of images and leaves of each the one that is named first.
# Written by cbir, which has removed nothing itself. Read it before you run it, and take out
# what you want to keep. A file is left where it is when the one to keep is gone, when the two
# are one file, or when either has another size than when it was indexed.
set -u

size_of() { printf '%s' "$(($(wc -c < "$1")))"; }

# remove_copy KEEPER ITS_SIZE COPY ITS_SIZE
remove_copy() {
    if [ ! -f "$1" ] || [ "$(size_of "$1")" -ne "$2" ]; then
        printf 'left, the one to keep is gone or has changed: %s\\n' "$3" >&2
    elif [ ! -f "$3" ]; then
        printf 'gone already: %s\\n' "$3" >&2
    elif [ "$1" -ef "$3" ]; then
        printf 'left, it is the one to keep: %s\\n' "$3" >&2
    elif [ "$(size_of "$3")" -ne "$4" ]; then
        printf 'left, it has changed: %s\\n' "$3" >&2
    else
        rm -f -- "$3" && printf 'removed: %s\\n' "$3"
    fi
}
"""


@dataclass(frozen=True, slots=True)
class Removal:
    """A copy to remove and the image to keep, as URIs, with their sizes in bytes."""

    keeper: str
    keeper_size: int
    copy: str
    copy_size: int


def removals_of(groups: Iterable[Group]) -> Iterable[list[Removal]]:
    """The removals of each group: every image but the one to keep."""
    for group in groups:
        keeper = group.keeper
        yield [Removal(keeper.uri, keeper.size, copy.uri, copy.size) for copy in group.others]


def removals_of_known(known: Iterable[KnownFile]) -> Iterable[list[Removal]]:
    """The removals of new files that the gallery has already."""
    for file in known:
        yield [Removal(file.image.uri, file.image.size, file.uri, file.size)]


def removal_script(removals: Iterable[Sequence[Removal]]) -> bytes:
    """The script, as bytes: a file name need not be valid text.

    Only local files are removed, never remote ones or members of an archive, and only if the
    image to keep is a local file, too.
    """
    lines = [HEADER.encode()]
    for number, group in enumerate(removals, 1):
        lines.append(f"\n# {number}: keep {_comment(group[0].keeper)}\n".encode())
        lines += [_line(removal) for removal in group]
    return b"".join(lines)


def write_script(path: Path, removals: Iterable[Sequence[Removal]]) -> None:
    """Write the script, ready to be run. Raises CbirError when it cannot be written."""
    script = removal_script(removals)
    try:
        path.write_bytes(script)
        path.chmod(path.stat().st_mode | 0o100)
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror}") from error


def _line(removal: Removal) -> bytes:
    keeper, copy = local_file(removal.keeper), local_file(removal.copy)
    if keeper is None or copy is None:
        which = "it" if copy is None else "the one to keep"
        return f"# left, {which} is no file of this machine: {_comment(removal.copy)}\n".encode()
    if os.path.samefile(keeper, copy):  # noqa: PTH121  the path need not be UTF-8 text
        return f"# left, it is the one to keep: {_comment(removal.copy)}\n".encode()
    sizes = [str(size).encode() for size in (removal.keeper_size, removal.copy_size)]
    return b" ".join([b"remove_copy", _quoted(keeper), sizes[0], _quoted(copy), sizes[1]]) + b"\n"


def local_file(uri: str) -> str | None:
    """The path of a regular file of this machine; None for anything else."""
    path = uri_to_path(uri)
    return path if path.startswith("/") and os.path.isfile(path) else None  # noqa: PTH113


def _quoted(path: str) -> bytes:
    """A path quoted for the shell, byte for byte."""
    return b"'" + os.fsencode(path).replace(b"'", b"'\\''") + b"'"


def _comment(uri: str) -> str:
    """A URI as a comment: on one line, printable."""
    shown = printable(uri_to_path(uri))
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
