"""The directories of a TIFF: which pictures it contains, and which of them is the picture."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Directory", "first_offset", "main_directory", "read_directories", "starting_at"]

CHAIN = 64
"""Most directories that are read one after another, and in all."""
VALUES = 1 << 20
"""Most values of one tag."""
FORMATS = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}
"""Types of values that are read: whole numbers and text."""

SUBFILE_TYPE, OLD_SUBFILE_TYPE = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, STRIP_BYTES = 273, 274, 277, 279
MAX_SAMPLE, PLANAR, COLOURS, TILES, TILE_BYTES = 281, 284, 320, 324, 325
SUB_DIRECTORIES, INKS, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 332, 338, 339
NO_DATA, DNG_VERSION = 42113, 50706
WANTED = frozenset(
    {SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS}
    | {ORIENTATION, SAMPLES, STRIP_BYTES, MAX_SAMPLE, PLANAR, COLOURS, TILES, TILE_BYTES}
    | {SUB_DIRECTORIES, INKS, EXTRA_SAMPLES, SAMPLE_FORMAT, NO_DATA, DNG_VERSION}
)
ICON = 256
"""Longest side of a first picture that may be a preview though it is not marked as one."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One picture of a TIFF: where its directory lies, and its tags that are whole numbers."""

    offset: int
    tags: Mapping[int, tuple[int, ...]]
    below: int | None = None
    """Offset of the directory that names it as a part of itself; None in the main chain."""

    def number(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        values = self.tags.get(tag)
        return values[0] if values else default

    @property
    def size(self) -> tuple[int, int]:
        return self.number(WIDTH, 0), self.number(HEIGHT, 0)

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def is_reduced(self) -> bool:
        """Whether it is marked as a reduced version of another picture, or as a mask."""
        marked = self.number(SUBFILE_TYPE, 0) & 0b101 != 0
        return marked or self.number(OLD_SUBFILE_TYPE, 1) == 2


def read_directories(data: bytes) -> list[Directory]:
    """The directories of a TIFF in their order, each followed by those that it names as its parts.

    Empty for damage that keeps the first from being read; damage further on ends the list.
    """
    order, big = "<" if data[:2] == b"II" else ">", _is_big(data)
    present: list[Directory] = []
    _walk(data, order, big, first_offset(data), None, present, set())
    return present


def first_offset(data: bytes) -> int:
    """Offset of the first directory; 0 where the data end before it is stated."""
    order, big = "<" if data[:2] == b"II" else ">", _is_big(data)
    try:
        return int(struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])
    except struct.error:
        return 0


def _is_big(data: bytes) -> bool:
    """Whether offsets have 64 bits."""
    return data[2:4] in (b"+\0", b"\0+")


def _walk(
    data: bytes,
    order: str,
    big: bool,
    offset: int,
    below: int | None,
    present: list[Directory],
    seen: set[int],
) -> None:
    while 0 < offset < len(data) and offset not in seen and len(present) < CHAIN:
        seen.add(offset)
        try:
            directory, following = _read(data, order, big, offset, below)
        except struct.error:
            return
        present.append(directory)
        for part in directory.tags.get(SUB_DIRECTORIES, ())[:16]:
            _walk(data, order, big, part, directory.offset, present, seen)
        offset = following


def _read(
    data: bytes, order: str, big: bool, offset: int, below: int | None
) -> tuple[Directory, int]:
    """One directory, and the offset of the next. Raises struct.error where the data end."""
    counter, entry, width = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(order + counter, data, offset)
    at = offset + struct.calcsize("=" + counter)
    step = struct.calcsize("=" + entry) + width
    tags: dict[int, tuple[int, ...]] = {}
    for number in range(min(count, 4096)):
        place = at + number * step
        tag, kind, length = struct.unpack_from(order + entry, data, place)
        if tag not in WANTED or kind not in FORMATS or length > VALUES:
            continue
        form = f"{order}{length}{FORMATS[kind]}"
        value = place + step - width
        if struct.calcsize(form) > width:
            (value,) = struct.unpack_from(order + ("Q" if big else "I"), data, value)
        try:
            tags[tag] = struct.unpack_from(form, data, value)
        except struct.error:  # a tag that lies beyond the end is as good as absent
            continue
    (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + count * step)
    return Directory(offset, tags, below), following


def main_directory(directories: Sequence[Directory]) -> Directory:
    """The picture of a TIFF of at least one directory.

    The first that is not marked as reduced, or one of its parts, if that is larger and not marked
    either. Where the first is as small as an icon, a larger one of the same shape.
    """
    whole = [d for d in directories if not d.is_reduced and d.pixels]
    if not whole:
        return max(directories, key=lambda directory: directory.pixels)
    first = whole[0]
    for other in whole[1:]:
        part = other.below == first.offset
        icon = max(first.size) <= ICON and other.pixels >= 4 * first.pixels
        if other.pixels > first.pixels and (part or (icon and _same_shape(first, other))):
            first = other
    return first


def _same_shape(a: Directory, b: Directory) -> bool:
    (width, height), (other_width, other_height) = a.size, b.size
    return abs(width * other_height - height * other_width) <= 0.03 * width * other_height


def starting_at(data: bytes, directory: Directory) -> bytes:
    """The same TIFF with another directory as its first."""
    order = "<" if data[:2] == b"II" else ">"
    if _is_big(data):
        return data[:8] + struct.pack(order + "Q", directory.offset) + data[16:]
    return data[:4] + struct.pack(order + "I", directory.offset) + data[8:]
