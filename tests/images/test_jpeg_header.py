"""Which JPEGs a GPU may decode: the header is read as Pillow reads it, or the answer is None."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from factories import TO_STORED, encode, picture, srgb_profile, swapped_profile, turned
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cbir.images.jpeg_header import PlainJpeg, parse_plain_jpeg

PLAIN = encode(picture(300, 200), "JPEG")


@pytest.mark.parametrize("options", [{}, {"quality": 100}, {"subsampling": 0}, {"subsampling": 1}])
@pytest.mark.parametrize("size", [(300, 200), (1, 1), (3, 700)])
def test_a_plain_jpeg(size: tuple[int, int], options: dict[str, Any]) -> None:
    data = encode(picture(*size), "JPEG", **options)
    assert parse_plain_jpeg(data) == PlainJpeg(*size, 1)


@pytest.mark.parametrize("orientation", [1, *TO_STORED])
def test_its_orientation(orientation: int) -> None:
    data = turned(picture(30, 20), orientation, "JPEG")
    header = parse_plain_jpeg(data)
    assert header is not None
    assert header.orientation == orientation
    assert (header.width, header.height) == Image.open(io.BytesIO(data)).size


def exif(orientation: int, *, order: str, kind: int = 3, entries: int = 1) -> bytes:
    """An Exif block with an orientation as its last entry."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    others = b"".join(struct.pack(order + "HHII", 0x9000 + i, 4, 1, 7) for i in range(entries - 1))
    entry = struct.pack(order + "HHI", 0x0112, kind, 1)
    value = struct.pack(order + ("HH" if kind == 3 else "I"), *([orientation, 0][: 5 - kind]))
    directory = struct.pack(order + "H", entries) + others + entry + value + bytes(4)
    return b"Exif\0\0" + mark + struct.pack(order + "I", 8) + directory


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"orientation": 6}, 6),
        ({"orientation": 8, "entries": 30}, 8),
        ({"orientation": 6, "kind": 4}, None),  # a type that not every reader takes
        ({"orientation": 9}, None),
        ({"orientation": 0}, None),
        ({"orientation": 6, "entries": 250}, None),
    ],
)
def test_exif_of_any_byte_order(order: str, block: dict[str, Any], expected: int | None) -> None:
    data = encode(picture(30, 20), "JPEG", exif=exif(order=order, **block))
    header = parse_plain_jpeg(data)
    assert (header and header.orientation) == expected


def with_segment(marker: int, content: bytes) -> bytes:
    """The plain JPEG with one more segment at its beginning."""
    return PLAIN[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + PLAIN[2:]


OTHERS = {
    "progressive": encode(picture(), "JPEG", progressive=True),
    "grey": encode(picture().convert("L"), "JPEG"),
    "CMYK": encode(picture().convert("CMYK"), "JPEG"),
    "RGB": encode(picture(), "JPEG", keep_rgb=True),
    "another profile": encode(picture(), "JPEG", icc_profile=swapped_profile()),
    "several pictures": with_segment(0xE2, b"MPF\0" + bytes(20)),
    "orientation in XMP": with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0 tiff:Orientation=6"),
    "damaged Exif": with_segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "no end": PLAIN[:-2],
    "half": PLAIN[: len(PLAIN) // 2],
    "a header alone": PLAIN[:30],
    "another format": encode(picture(), "PNG"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_left_to_others(name: str) -> None:
    assert parse_plain_jpeg(OTHERS[name]) is None


def test_two_exif_blocks_are_left_to_others() -> None:
    once = with_segment(0xE1, exif(6, order="<"))
    block = once[2 : len(once) - len(PLAIN) + 2]
    assert parse_plain_jpeg(once) == PlainJpeg(300, 200, 6)
    assert parse_plain_jpeg(once[:2] + block + once[2:]) is None


def test_a_profile_that_is_srgb_changes_nothing() -> None:
    data = encode(picture(30, 20), "JPEG", icc_profile=srgb_profile())
    assert parse_plain_jpeg(data) == PlainJpeg(30, 20, 1)


@given(place=st.integers(0, 700), byte=st.integers(0, 255), cut=st.integers(0, 700))
def test_damaged_headers_never_raise(place: int, byte: int, cut: int) -> None:
    """And what is said of a file is what Pillow says of it."""
    data = bytearray(PLAIN)
    data[place % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: cut % len(data)])):
        header = parse_plain_jpeg(damaged)
        if header is not None:
            assert Image.open(io.BytesIO(damaged)).size == (header.width, header.height)
