"""Camera RAW is shown as the photograph, never as its preview, or not read and why."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from camera import camera_raw
from factories import encode, folder_of, picture
from PIL import Image
from terminal import cbir

from cbir import Gallery
from cbir.config import Preprocessing
from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import check_header, decode, open_rgb, raw, sniff_format

tifffile = pytest.importorskip("tifffile")

SMALL = Preprocessing(72, 64)
FULL = (480, 320)
PHOTO = picture(*FULL)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dng", [True, False])
def test_it_is_developed_at_its_real_size(order: str, dng: bool) -> None:
    pytest.importorskip("rawpy")
    data = camera_raw(order=order, dng=dng)
    decoded = decode(data, SMALL)
    assert (decoded.width, decoded.height) == FULL
    (remark,) = decoded.remarks
    assert (remark.kind, "developed" in remark.text) == ("raw", True)
    assert open_rgb(data).size == FULL
    assert open_rgb(data, max_side=60).size == (60, 40)
    # Its greys are those of the photograph, at another brightness.
    shown = np.asarray(open_rgb(data, max_side=60).convert("L")).astype(float)
    expected = np.asarray(PHOTO.convert("L").resize((60, 40))).astype(float)
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extra", [True, False])
def test_a_jpeg_of_full_size_in_it_is_shown(
    order: str, extra: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not extra:
        monkeypatch.setattr("cbir.images.raw.find_spec", lambda _: None)
    data = camera_raw(order=order, preview=FULL)
    decoded = decode(data, SMALL)
    assert (decoded.width, decoded.height) == FULL
    expected = decode(encode(PHOTO, "JPEG", quality=95), SMALL).pixels.astype(int)
    assert np.abs(decoded.pixels - expected).max() <= 2
    assert [remark.kind for remark in decoded.remarks] == ["raw"]


def test_it_is_turned_upright() -> None:
    from factories import TO_STORED

    stored = PHOTO.transpose(TO_STORED[6])
    data = camera_raw(preview=stored.size, orientation=6, photo=stored)
    assert open_rgb(data).size == FULL
    assert np.abs(np.asarray(open_rgb(data)).astype(int) - np.asarray(PHOTO)).mean() < 3


@pytest.mark.parametrize("preview", [None, (240, 160), (120, 80)])
def test_without_the_extra_it_is_not_read_and_says_why(
    preview: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbir.images.raw.find_spec", lambda _: None)
    data = camera_raw(preview=preview)
    for read in (check_header, open_rgb, lambda d: decode(d, SMALL)):
        with pytest.raises(ImageError) as caught:
            read(data)
        assert str(caught.value) == (
            "camera RAW of 480 × 320 pixels without a JPEG of that size in it needs an extra: "
            "pip install 'cbir[raw]', then index with --retry-failed"
        )


def test_a_tiff_with_a_tag_of_dng_is_a_tiff() -> None:
    file = io.BytesIO()
    tag = (50706, "B", 4, (1, 4, 0, 0), True)
    tifffile.imwrite(file, np.asarray(PHOTO), photometric="rgb", metadata=None, extratags=[tag])
    assert decode(file.getvalue(), SMALL).remarks == ()
    assert (np.asarray(open_rgb(file.getvalue())) == np.asarray(PHOTO)).all()


def test_the_limit_of_pixels_counts_the_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rawpy")
    monkeypatch.setenv("CBIR_MAX_PIXELS", "100000")
    with pytest.raises(ImageTooLargeError, match="480 × 320"):
        check_header(camera_raw())


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201FF393101",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"FOVb\0\0\2\0",
        b"II\x1a\0\0\0HEAPCCDR",
    ],
)
def test_other_kinds_are_known_by_their_first_bytes(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sniff_format(head) == "raw"
    data = head + bytes(500)
    if find_spec("rawpy") is not None:
        with pytest.raises(ImageError, match=r"LibRaw cannot develop: [A-Z][\w/ ]+$"):
            check_header(data)
    monkeypatch.setattr("cbir.images.raw.find_spec", lambda _: None)
    with pytest.raises(ImageError, match=r"camera RAW.*pip install 'cbir\[raw\]'"):
        check_header(data)


def test_a_file_that_crashes_the_decoder_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rawpy")
    monkeypatch.setattr(raw, "DEVELOP", "import os; os.abort()  # {limit} {least}")
    with pytest.raises(ImageError, match="camera RAW that LibRaw cannot develop: it crashed"):
        decode(camera_raw(), SMALL)


def test_a_folder_of_raws_with_their_jpegs(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    files: dict[str, Image.Image | bytes] = {
        f"{seed}.jpg": picture(seed=seed) for seed in (1, 2, 3)
    }
    files |= {"shot.jpg": PHOTO, "shot.dng": camera_raw(), "two.nef": camera_raw(dng=False)}
    folder = folder_of(tmp_path / "card", files)
    gallery = tmp_path / "gallery"
    run = cbir("index", folder, "-g", gallery, "--backbone", "tiny_image")
    assert run.code == 0, run.err
    assert "2 camera RAW" in run.out
    with Gallery.open(gallery) as opened:
        records = {record.name: record for record, _ in opened.catalog.scan()}
        assert (records["shot.dng"].width, records["shot.dng"].height) == FULL
        raws = {records[name].id for name in ("shot.dng", "two.nef")}
        assert opened.catalog.ids_with_remark("raw") == raws
