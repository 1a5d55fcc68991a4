"""Reads single members of a tar, by an index of their offsets."""

from __future__ import annotations

import os
import posixpath
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cbir.config import max_bytes
from cbir.errors import ImageError, ImageMissingError
from cbir.sources.paths import unreadable
from cbir.types import ImageVersion

__all__ = [
    "Member",
    "TarIndexes",
    "members",
    "read_member",
    "read_slice",
    "tar_member_version",
]

_BLOCK = 512
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in a tar."""

    name: str
    """Its normalised path: `./a.jpg` is `a.jpg`."""
    offset: int
    size: int


def members(path: str) -> Iterator[Member]:
    """The regular files of a tar, in its order; links and hidden files are left out.

    Raises ImageError at damage, after yielding the members before it, and OSError when the tar
    cannot be opened.
    """
    with Path(path).open("rb") as file:
        if file.read(6).startswith(_COMPRESSED):
            raise ImageError("a compressed tar, whose images cannot be read one by one; unpack it")
        file.seek(0)
        try:
            tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115  `file` is what is closed
            while (info := tar.next()) is not None:
                # `tarfile` would keep all members, a kilobyte each.
                tar.members = []  # type: ignore[attr-defined]
                name = posixpath.normpath(info.name).lstrip("/")
                hidden = any(part.startswith(".") for part in name.split("/"))
                if info.isreg() and not info.issparse() and not hidden:
                    yield Member(name, info.offset_data, info.size)
            file.seek(tar.offset)
            last = file.read(_BLOCK)
        except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError) as error:
            raise ImageError(f"damaged tar: {error}") from error
        # `tarfile` treats anything that is not a header as the end.
        if len(last) < _BLOCK:
            raise ImageError("truncated tar: it stops without its end mark")
        if last.strip(b"\0"):
            raise ImageError(f"damaged tar: no header where one should be, at byte {tar.offset:,}")


def read_member(tar: str, member: str) -> bytes:
    """Read a file in a tar. Raises ImageError."""
    entry = _find(tar, member)[0]
    if entry.size > max_bytes():
        raise ImageError(f"{entry.size / 1e6:,.0f} MB, above the limit of {max_bytes() / 1e6:,.0f}")
    try:
        with Path(tar).open("rb", buffering=0) as file:
            return read_slice(file.fileno(), entry)
    except OSError as error:
        raise unreadable(error) from error


def read_slice(descriptor: int, member: Member) -> bytes:
    """Read a member of an open tar. Raises ImageError if the tar ends within it."""
    data = os.pread(descriptor, member.size, member.offset)
    if len(data) < member.size:
        raise ImageError("truncated: the tar ends within it")
    return data


def tar_member_version(tar: str, member: str) -> ImageVersion:
    """Size of a file in a tar, with the tar's modification time. Raises ImageError.

    The times that a tar stores for its members are often all the same, whatever the content.
    """
    entry, mtime_ns = _find(tar, member)
    return ImageVersion(entry.size, mtime_ns)


def _find(tar: str, name: str) -> tuple[Member, int]:
    try:
        status = os.stat(tar)  # noqa: PTH116
        index = indexes.of(tar, (status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise unreadable(error) from error
    if name not in index:
        raise ImageMissingError(f"no such file in {os.path.basename(tar)}")  # noqa: PTH119
    return Member(name, *index[name]), status.st_mtime_ns


class TarIndexes:
    """A cache of members by name, of the tars used last.

    Holds at most `most` members, but always all of the latest tar.
    """

    def __init__(self, *, most: int = 500_000) -> None:
        """A member takes 200 bytes."""
        self._most = most
        self._lock = threading.Lock()
        self._tars: OrderedDict[str, tuple[tuple[int, int], dict[str, tuple[int, int]]]] = (
            OrderedDict()
        )

    def __contains__(self, tar: str) -> bool:
        return tar in self._tars

    def of(self, tar: str, state: tuple[int, int]) -> dict[str, tuple[int, int]]:
        with self._lock:
            entry = self._tars.pop(tar, None)
            if entry is None or entry[0] != state:
                entry = state, _index(tar)
            self._tars[tar] = entry
            while len(self._tars) > 1 and self._total() > self._most:
                self._tars.popitem(last=False)
            return entry[1]

    def _total(self) -> int:
        return sum(len(index) for _, index in self._tars.values())


def _index(tar: str) -> dict[str, tuple[int, int]]:
    index: dict[str, tuple[int, int]] = {}
    try:
        for member in members(tar):
            index[member.name] = member.offset, member.size
    except ImageError:  # the members before the damage can be read
        pass
    return index


indexes = TarIndexes()
"""Of this process."""
