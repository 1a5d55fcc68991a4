"""Damaged files are read as far as browsers show them, with a remark; badly truncated ones fail."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from factories import encode, folder_of, picture, png_chunk, srgb_profile, swapped_profile
from PIL import Image
from terminal import cbir

from cbir import Gallery, index_images
from cbir.config import Preprocessing
from cbir.errors import ImageError
from cbir.images import decode, open_rgb
from cbir.types import Remark

SMALL = Preprocessing(36, 32)
RNG = np.random.default_rng(3)
IMAGE = Image.fromarray(
    np.clip(
        np.asarray(picture(320, 240)).astype(int) + RNG.integers(-9, 10, (240, 320, 3)), 0, 255
    ).astype(np.uint8)
)
"""With grain, so that the bytes of a file are spread over the picture."""

FORMATS = {
    "JPEG": encode(IMAGE, "JPEG", quality=90),
    "progressive": encode(IMAGE, "JPEG", quality=90, progressive=True),
    "restart": encode(IMAGE, "JPEG", quality=90, restart_marker_rows=1),
    "grey": encode(IMAGE.convert("L"), "JPEG", quality=90),
    "PNG": encode(IMAGE),
    "palette": encode(IMAGE.quantize(64)),
    "BMP": encode(IMAGE, "BMP"),
    "TIFF": encode(IMAGE, "TIFF"),
    "WEBP": encode(IMAGE, "WEBP", quality=90),
}


def remarks_of(data: bytes) -> tuple[Remark, ...]:
    return decode(data, SMALL).remarks


def difference(data: bytes, whole: bytes, *, of_rows: float) -> float:
    """The largest mean difference of a row, of the upper rows of both pictures."""
    a, b = (np.asarray(open_rgb(d)).astype(int) for d in (data, whole))
    rows = int(of_rows * len(a))
    return float(np.abs(a - b)[:rows].mean(axis=(1, 2)).max())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.0005, 0.02])
def test_without_its_last_bytes_a_file_is_read_with_a_remark(kind: str, share: float) -> None:
    whole = FORMATS[kind]
    data = whole[: len(whole) - max(24, int(share * len(whole)))]
    if kind == "progressive" and share > 0.01:
        pytest.skip("its last bytes refine all of the picture")
    (remark,) = remarks_of(data)
    assert remark.kind == "damaged"
    assert remark.text.startswith("damaged, read as far as possible: ")
    if kind == "BMP":  # whose upper rows come last
        return
    assert difference(data, whole, of_rows=0.9) < 1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_without_a_tenth_or_more_it_fails(kind: str, share: float) -> None:
    whole = FORMATS[kind]
    data = whole[: int((1 - share) * len(whole))]
    for read in (lambda: remarks_of(data), lambda: open_rgb(data)):
        with pytest.raises(ImageError, match=r"truncated|unreadable WEBP"):
            read()


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "grey"])
def test_only_the_end_marker_is_missing(kind: str) -> None:
    data = FORMATS[kind][:-2]
    (remark,) = remarks_of(data)
    assert remark.text == "damaged, read as far as possible: only the end of the file is missing"
    assert difference(data, FORMATS[kind], of_rows=1) == 0


def test_zeros_in_place_of_the_end_are_no_pixels() -> None:
    whole = FORMATS["JPEG"]
    half = whole[: len(whole) // 2]
    with pytest.raises(ImageError, match="truncated"):
        decode(half + bytes(len(whole) - len(half)), SMALL)
    nearly = whole[:-300]
    assert remarks_of(nearly + bytes(300))[0].kind == "damaged"
    assert remarks_of(whole + bytes(300)) == ()
    assert remarks_of(whole + b"more than the picture" + bytes(300)) == ()


def test_an_end_marker_before_the_end_is_no_end() -> None:
    whole = FORMATS["JPEG"]
    half = whole[: len(whole) // 2] + b"\xff\xd9"
    for read in (remarks_of, open_rgb, lambda data: open_rgb(data, max_side=30)):
        with pytest.raises(ImageError, match="truncated"):
            read(half)
    (remark,) = remarks_of(whole[:-200] + b"\xff\xd9")
    assert remark.kind == "damaged"
    for grey in (Image.new("L", (90, 60), 128), Image.new("RGB", (90, 60), (128, 128, 128))):
        data = encode(grey, "JPEG")
        assert [remark.kind for remark in remarks_of(data)] == ["blank"]
        assert open_rgb(data).size == (90, 60)
    below = IMAGE.copy()
    below.paste((128, 128, 128), (0, 200, 320, 240))
    assert remarks_of(encode(below, "JPEG")) == remarks_of(encode(below, "JPEG", progressive=True))
    assert remarks_of(encode(below, "JPEG")) == ()


def test_a_draft_of_a_truncated_photograph_is_the_same_picture() -> None:
    whole = encode(IMAGE.resize((1600, 1200)), "JPEG", quality=90)
    pixels, expected = (decode(d, SMALL).pixels.astype(int) for d in (whole[:-200], whole))
    assert np.abs(pixels - expected).mean() < 1


# PNG


def with_chunks(*chunks: tuple[bytes, bytes], wrong: bytes = b"") -> bytes:
    """A PNG with chunks after its header; the checksum of those of type `wrong` is wrong."""
    parts = []
    for kind, body in chunks:
        chunk = png_chunk(kind, body)
        parts.append(chunk[:-4] + b"\0\0\0\0" if kind == wrong else chunk)
    whole = FORMATS["PNG"]
    return whole[:33] + b"".join(parts) + whole[33:]


LONG = b"".join(b"node %06d; " % number for number in range(200_000))


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"workflow\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"prompt\0\0\0\0\0" + LONG),
        (b"tEXt", b"comment\0" + LONG),
        (b"iCCP", b"scanner\0\0" + zlib.compress(srgb_profile() + bytes(1_500_000))),
        (b"iCCP", b"bomb\0\0" + zlib.compress(bytes(100_000_000))),
    ],
    ids=["zTXt", "iTXt", "plain iTXt", "tEXt", "profile", "enormous profile"],
)
def test_a_png_with_much_metadata_is_sound(chunk: tuple[bytes, bytes]) -> None:
    data = with_chunks(chunk)
    assert remarks_of(data) == ()
    assert difference(data, FORMATS["PNG"], of_rows=1) <= 2


def test_text_of_many_megabytes_is_no_reason_to_fail() -> None:
    chunk = png_chunk(b"tEXt", b"comment\0" + bytes(8_000_000).replace(b"\0", b"x"))
    whole = FORMATS["PNG"]
    data = whole[:33] + 9 * chunk + whole[33:]
    assert remarks_of(data) == ()


def test_a_large_profile_is_applied() -> None:
    profile = swapped_profile()
    count = struct.unpack(">I", profile[128:132])[0]
    large = profile + bytes(1_500_000)
    large = struct.pack(">I", len(large)) + large[4:]
    assert count
    data = with_chunks((b"iCCP", b"large\0\0" + zlib.compress(large)))
    small = with_chunks((b"iCCP", b"small\0\0" + zlib.compress(profile)))
    assert difference(data, small, of_rows=1) == 0
    assert difference(data, FORMATS["PNG"], of_rows=1) > 20


@pytest.mark.parametrize("kind", [b"tEXt", b"pHYs", b"gAMA", b"iCCP"])
def test_a_minor_chunk_with_a_wrong_checksum_is_left_out(kind: bytes) -> None:
    body = {b"gAMA": struct.pack(">I", 45455), b"pHYs": bytes(9)}.get(kind, b"name\0value")
    data = with_chunks((kind, body), wrong=kind)
    (remark,) = remarks_of(data)
    assert remark.kind == "damaged"
    assert kind.decode() in remark.text
    assert difference(data, FORMATS["PNG"], of_rows=1) == 0


def test_a_wrong_checksum_of_the_pixels_is_no_reason_to_fail() -> None:
    whole = FORMATS["PNG"]
    at = whole.index(b"IEND") - 8
    data = whole[: at - 4] + b"\0\0\0\0" + whole[at:]
    assert difference(data, whole, of_rows=1) == 0


def test_an_interlaced_png_is_completed() -> None:
    rows = np.asarray(IMAGE.convert("L"))
    stream = b""
    for x, y, right, down in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
        (0, 1, 1, 2),
    ):
        stream += b"".join(b"\0" + row[x::right].tobytes() for row in rows[y::down])
    header = struct.pack(">IIBBBBB", 320, 240, 8, 0, 0, 0, 1)
    body = zlib.compress(stream)
    whole = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", body)
        + png_chunk(b"IEND", b"")
    )
    assert remarks_of(whole) == ()
    data = whole[: -len(body) // 50]
    assert remarks_of(data)[0].kind == "damaged"
    assert difference(data, whole, of_rows=0.9) < 1


# What is kept of it


def test_remarks_are_kept_listed_and_end_with_the_damage(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", {f"{i}.jpg": picture(seed=i) for i in range(3)})
    whole = FORMATS["JPEG"]
    (photos / "damaged.jpg").write_bytes(whole[:-40])
    (photos / "blank.png").write_bytes(encode(Image.new("RGB", (60, 40), "white")))
    gallery = tmp_path / "gallery"
    run = cbir("index", photos, "-g", gallery, "--backbone", "tiny_image")
    assert run.code == 0, run.err
    assert "remarks: 1 of one flat colour, 1 damaged" in run.out.replace("\n", " ")
    listed = cbir("info", "--remarks", "-g", gallery).out.replace("\n", " ")
    assert "damaged.jpg: damaged, read as far as possible" in listed
    assert "blank.png: one flat colour" in listed
    described = json.loads(cbir("info", "-g", gallery, "--json").out)
    assert {(Path(r["uri"]).name, r["kind"]) for r in described["remarks"]} == {
        ("damaged.jpg", "damaged"),
        ("blank.png", "blank"),
    }
    assert "1 of one flat colour, 1 damaged" in cbir("info", "-g", gallery).out

    exported = tmp_path / "all.npy"
    assert cbir("export", "-g", gallery, "--out", exported).code == 0
    assert cbir("import", exported, "-g", tmp_path / "copy").code == 0
    with Gallery.open(gallery) as one, Gallery.open(tmp_path / "copy") as other:
        assert one.catalog.remarks() == other.catalog.remarks()

    (photos / "damaged.jpg").write_bytes(whole)
    (photos / "blank.png").unlink()
    with Gallery.open(gallery) as opened:
        assert len(opened.catalog.ids_with_remark("damaged")) == 1
        report = index_images(photos, opened, prune=True)
        assert (report.updated, report.removed, dict(report.remarks)) == (1, 1, {})
        assert opened.catalog.remarks() == []
        assert opened.catalog.ids_with_remark("damaged") == frozenset()
    assert "no remarks" in cbir("info", "--remarks", "-g", gallery).out
