"""PNGs that browsers show and Pillow refuses: much text, faulty minor chunks, a missing end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cbir.types import Remark

__all__ = ["MendedHeader", "mend_png", "mend_png_header"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = (b"tEXt", b"zTXt", b"iTXt")
MOST_TEXT = 1 << 16
"""Bytes of a chunk of text that is passed on: it may contain the EXIF orientation."""
MOST_PROFILE = 1 << 24
"""Largest colour profile in bytes; those with tables have a few megabytes."""
PILLOWS_PROFILE = 1 << 20
"""Largest colour profile that Pillow reads."""
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
ADAM7_LAST = (0, 1, 1, 2)
"""The passes of an interlaced image: first column and row, and steps to the right and down."""


@dataclass(frozen=True, slots=True)
class MendedHeader:
    """A file without the chunks that Pillow refuses."""

    data: bytes
    profile: bytes | None
    """A colour profile that is too large for Pillow."""
    remarks: tuple[Remark, ...]


def mend_png_header(data: bytes) -> MendedHeader:
    """Leave out long texts, and minor chunks with a wrong checksum (as libpng does)."""
    parts, profile, faulty = [SIGNATURE], None, []
    for kind, body, whole in _chunks(data):
        minor = bool(kind[0] & 0x20)
        if minor and not _sound(kind, body, whole):
            faulty.append(kind.decode("latin-1"))
        elif kind in TEXT and (len(body) > MOST_TEXT or _inflates_to_much(kind, body)):
            pass
        elif kind == b"iCCP" and len(inflated := _profile(body)) > PILLOWS_PROFILE:
            profile = inflated if len(inflated) < MOST_PROFILE else None
        else:
            parts.append(whole)
    remarks: tuple[Remark, ...] = ()
    if faulty:
        names = ", ".join(dict.fromkeys(faulty))
        text = f"damaged, read without its chunk {names}, whose checksum is wrong"
        remarks = (Remark("damaged", text),)
    return MendedHeader(b"".join(parts), profile, remarks)


def mend_png(data: bytes, size: tuple[int, int]) -> tuple[bytes, float] | None:
    """The file with its pixels compressed anew, where data are missing or the checksum is wrong.

    Missing rows repeat the one above. Returns the share of the bytes of pixels that are missing.
    """
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        return None
    depth, colour, _, _, interlaced = chunks[0][1][8:13]
    if colour not in CHANNELS:
        return None
    rows = _row_bytes(size, depth * CHANNELS[colour], bool(interlaced))
    total = sum(count * (1 + row) for count, row in rows)
    stream = b"".join(body for kind, body, _ in chunks if kind == b"IDAT")
    inflated = _inflate(stream, total)
    missing = total - len(inflated)
    if not 0 <= missing < total:
        return None
    inflated.extend(_fill(rows, len(inflated)))
    image = _chunk(b"IDAT", zlib.compress(inflated, 1))
    before = []
    for kind, _, whole in chunks:
        if kind == b"IDAT":
            break
        before.append(whole)
    mended = SIGNATURE + b"".join(before) + image + _chunk(b"IEND", b"")
    return mended, missing / total


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Type, content and complete bytes of each chunk; the last one may be cut off."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not kind.isalpha():
            return
        yield kind, data[at + 8 : at + 8 + length], data[at : at + 12 + length]
        at += 12 + length


def _sound(kind: bytes, body: bytes, whole: bytes) -> bool:
    return whole[-4:] == struct.pack(">I", zlib.crc32(kind + body))


def _inflates_to_much(kind: bytes, body: bytes) -> bool:
    """Whether a compressed text is longer than Pillow reads."""
    if kind == b"tEXt":
        return False
    _, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        if rest[:1] != b"\1":
            return False
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        rest = rest[1:]
    return len(_decompress(rest, PILLOWS_PROFILE)) >= PILLOWS_PROFILE


def _profile(body: bytes) -> bytes:
    """The colour profile of an iCCP chunk, or its first `MOST_PROFILE` bytes."""
    return _decompress(body.partition(b"\0")[2][1:], MOST_PROFILE)


def _decompress(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return b""


def _inflate(stream: bytes, total: int) -> bytearray:
    """The pixels that can be decompressed; their checksum is not checked."""
    inflater = zlib.decompressobj(-15)
    inflated = bytearray()
    step = 1 << 14  # what precedes a fault is in the output of earlier steps
    for start in range(2, len(stream), step):
        try:
            inflated += inflater.decompress(stream[start : start + step], total - len(inflated))
        except zlib.error:
            break
        if len(inflated) >= total or inflater.eof:
            break
    return inflated


def _row_bytes(size: tuple[int, int], bits: int, interlaced: bool) -> list[tuple[int, int]]:
    """Number of rows, and bytes of a row without its filter, in each pass."""
    width, height = size
    passes = (*ADAM7, ADAM7_LAST) if interlaced else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // right), -(-(height - y) // down)) for x, y, right, down in passes)
    return [(rows, (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 < rows]


def _fill(rows: list[tuple[int, int]], present: int) -> bytes:
    """What completes the pixels: a row that was cut off, then rows equal to the one above."""
    filling = bytearray()
    start = 0
    for count, row in rows:
        for _ in range(count):
            end = start + 1 + row
            if start >= present:
                filling += b"\2" + bytes(row)
            elif end > present:
                filling += bytes(end - present)
            start = end
    return bytes(filling)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
