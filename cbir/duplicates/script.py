"""Writes a shell script that removes copies, for a person to read and run; cbir never runs it."""

from __future__ import annotations

import os
import re
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
# what you want to keep. Contents are compared at the moment of removal: a file stays where it
# is when the one to keep is gone, when either is not what was compared, when either is a link,
# or when the two are one file.
set -u

# The hash of a file's contents, as cbir recorded it: BLAKE2b of 128 bits.
if printf '' | b2sum -l 128 >/dev/null 2>&1; then
    hash_of() { b2sum -l 128 <"$1" | cut -c 1-32; }
elif command -v python3 >/dev/null 2>&1; then
    hash_of() {
        python3 -c 'import hashlib, sys
print(hashlib.blake2b(sys.stdin.buffer.read(), digest_size=16).hexdigest())' <"$1"
    }
else
    hash_of() { printf 'neither b2sum nor python3'; }
fi

# may_go KEEPER COPY: whether both are files of their own
may_go() {
    if [ ! -f "$1" ]; then
        printf 'left, the one to keep is gone: %s\\n' "$2" >&2
    elif [ -h "$2" ]; then
        printf 'left, it is a link: %s\\n' "$2" >&2
    elif [ ! -f "$2" ]; then
        printf 'gone already: %s\\n' "$2" >&2
    elif [ "$1" -ef "$2" ]; then
        printf 'left, it is the one to keep: %s\\n' "$2" >&2
    else
        return 0
    fi
    return 1
}

# remove_same KEEPER COPY: of the same bytes
remove_same() {
    may_go "$1" "$2" || return 0
    if cmp -s -- "$1" "$2"; then
        rm -f -- "$2" && printf 'removed: %s\\n' "$2"
    else
        printf 'left, the two differ: %s\\n' "$2" >&2
    fi
}

# remove_copy KEEPER ITS_HASH COPY ITS_HASH: of the same picture
remove_copy() {
    may_go "$1" "$3" || return 0
    if [ "$(hash_of "$1")" != "$2" ]; then
        printf 'left, the one to keep has changed: %s\\n' "$3" >&2
    elif [ "$(hash_of "$3")" != "$4" ]; then
        printf 'left, it has changed: %s\\n' "$3" >&2
    else
        rm -f -- "$3" && printf 'removed: %s\\n' "$3"
    fi
}
"""

_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Removal:
    """A copy to remove and the image to keep, as URIs, with the hashes of their contents."""

    keeper: str
    keeper_content: str
    """`ImageRecord.content`: 32 hexadecimal digits."""
    copy: str
    copy_content: str


def removals_of(groups: Iterable[Group]) -> Iterable[list[Removal]]:
    """The removals of each group: every image but the one to keep."""
    for group in groups:
        keeper = group.keeper
        yield [Removal(keeper.uri, keeper.content, copy.uri, copy.content) for copy in group.others]


def removals_of_known(known: Iterable[KnownFile]) -> Iterable[list[Removal]]:
    """The removals of new files that the gallery has already."""
    for file in known:
        yield [Removal(file.image.uri, file.image.content, file.uri, file.content)]


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
    if os.path.islink(copy):  # noqa: PTH114
        return f"# left, it is a link: {_comment(removal.copy)}\n".encode()
    contents = (removal.keeper_content, removal.copy_content)
    if not all(_HASH.fullmatch(content) for content in contents):
        return f"# left, its contents are not known: {_comment(removal.copy)}\n".encode()
    if contents[0] == contents[1]:
        return b" ".join([b"remove_same", _quoted(keeper), _quoted(copy)]) + b"\n"
    of_keeper, of_copy = (content.encode() for content in contents)
    parts = [b"remove_copy", _quoted(keeper), of_keeper, _quoted(copy), of_copy]
    return b" ".join(parts) + b"\n"


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
