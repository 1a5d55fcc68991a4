"""The markers of JPEGs: what their frames and scans contain, without decoding them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "BASELINE",
    "END",
    "PROGRESSIVE",
    "Scan",
    "frame_and_scans",
    "is_complete",
    "jpegs_within",
]

BASELINE = frozenset({0xC0, 0xC1})
PROGRESSIVE = 0xC2
END = b"\xff\xd9"
NO_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})
NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
EMBEDDED = 64
"""Most JPEGs within a file that are looked at."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan: a band of coefficients of some components."""

    components: tuple[int, ...]
    first: int
    last: int
    """Coefficients, of 0 to 63."""
    bits: int
    """Number of low bits that later scans add."""


def frame_and_scans(data: bytes) -> tuple[int, list[Scan]]:
    """The marker of the frame (0xC0 is baseline), 0 if there is none, and the scans that begin."""
    frame = 0
    scans: list[Scan] = []
    for marker, at, length in _segments(data, 2):
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME:
            frame = marker
        elif marker == 0xDA and at + length <= len(data):
            count = data[at + 2]
            if length != 6 + 2 * count:
                break
            components = tuple(data[at + 3 + 2 * i] for i in range(count))
            first, last, bits = data[at + length - 3 : at + length]
            scans.append(Scan(components, first, last, bits & 15))
    return frame, scans


def is_complete(data: bytes) -> bool:
    """Whether a scan ends with the end marker, which entropy-coded data cannot contain."""
    return any(
        data.startswith(END, _next_marker(data, at + length))
        for marker, at, length in _segments(data, 2)
        if marker == 0xDA
    )


def jpegs_within(data: bytes) -> list[tuple[int, tuple[int, int]]]:
    """Position and (width, height) of the JPEGs of photographs within a file, largest first."""
    present: list[tuple[int, tuple[int, int]]] = []
    at = -1
    for _ in range(EMBEDDED):
        at = data.find(b"\xff\xd8\xff", at + 1)
        if at < 0:
            break
        if (size := _photograph_at(data, at)) is not None:
            present.append((at, size))
    return sorted(present, key=lambda jpeg: -jpeg[1][0] * jpeg[1][1])


def _photograph_at(data: bytes, start: int) -> tuple[int, int] | None:
    """The size of a JPEG of 8 bits and three colours; None for the lossless ones of sensors."""
    for marker, at, length in _segments(data, start + 2):
        if marker in BASELINE or marker == PROGRESSIVE:
            if length < 8 or at + 8 > len(data):
                return None
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 2)
            return (width, height) if (bits, components) == (8, 3) else None
        if marker == 0xDA or (0xC3 <= marker <= 0xCF and marker not in NO_FRAME):
            return None
    return None


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Marker, position of the length, and length of each segment; pixels are skipped."""
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:
            at += 1
            continue
        at += 2
        if marker in NO_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        yield marker, at, length
        at += max(2, length)
        if marker == 0xDA:
            at = _next_marker(data, at)


def _next_marker(data: bytes, at: int) -> int:
    """Position of the next marker after entropy-coded data, or the end."""
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 1:
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
    return len(data)
