"""The limit counts decoded pixels: photographs of telephones are read, bombs are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from factories import encode, folder_of, huge_png, picture, turned
from terminal import cbir

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.config import Preprocessing
from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import check_header, decode, open_rgb, readable_now, thumbnail_jpeg

SMALL = Preprocessing(36, 32)


def of_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG that says that it is of another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]


@pytest.mark.parametrize(
    ("width", "height", "progressive", "read"),
    [
        (12_000, 9_000, False, True),
        (16_320, 12_240, False, True),
        (12_000, 9_000, True, True),
        (16_320, 12_240, True, True),
        (30_000, 15_000, False, False),
        (20_000, 15_000, True, False),
    ],
)
def test_photographs_of_108_and_200_megapixels_are_within_the_limit(
    width: int, height: int, progressive: bool, read: bool
) -> None:
    data = of_size(encode(picture(), "JPEG", progressive=progressive), width, height)
    if read:
        check_header(data)
    else:
        with pytest.raises(ImageTooLargeError, match="above the limit of"):
            check_header(data)


@pytest.mark.parametrize("size", [(1600, 1200), (1601, 1199)])
def test_a_jpeg_above_the_limit_is_decoded_at_a_reduced_size(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(picture(*size), "JPEG", quality=95)
    expected = decode(data, SMALL)
    small = np.asarray(open_rgb(data, max_side=100))
    monkeypatch.setenv("CBIR_MAX_PIXELS", "500000")
    decoded = decode(data, SMALL)
    assert (decoded.width, decoded.height) == size
    assert (decoded.pixels == expected.pixels).all()
    assert (np.asarray(open_rgb(data, max_side=100)) == small).all()
    assert thumbnail_jpeg(data, max_side=64)
    with pytest.raises(ImageTooLargeError, match="at once are above the limit"):
        open_rgb(data)


@pytest.mark.parametrize("crop", [(0.5, 0.25, 0.5, 0.5), (800.0, 300.0, 800.0, 600.0)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_part_of_a_jpeg_above_the_limit_is_a_query(
    crop: tuple[float, float, float, float],
    orientation: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = turned(picture(1600, 1200), orientation, "JPEG", quality=95)
    with Gallery.create(tmp_path / "gallery", resolve_spec("tiny_image")[0]) as gallery:
        retriever = Retriever(gallery)
        expected = retriever.embed(data, crop=crop)
        monkeypatch.setenv("CBIR_MAX_PIXELS", "500000")
        assert float(retriever.embed(data, crop=crop) @ expected) > 0.999
        with pytest.raises(ImageError, match="the image ends at 1600,1200"):
            retriever.embed(data, crop=(1000.0, 0.0, 700.0, 100.0))


def test_other_formats_are_decoded_whole_and_count_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_MAX_PIXELS", "500000")
    with pytest.raises(ImageTooLargeError, match=r"1.9 megapixels, above the limit of 0.5"):
        decode(encode(picture(1600, 1200), "PNG"), SMALL)


def test_a_raised_limit_applies_to_what_was_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(
        tmp_path / "photos",
        {
            "large.png": picture(300, 200),
            "large.jpg": picture(900, 400),
            "small.png": picture(30, 20),
            "broken.jpg": b"\xff\xd8\xff broken",
        },
    )
    with Gallery.create(tmp_path / "gallery", resolve_spec("tiny_image")[0]) as gallery:
        monkeypatch.setenv("CBIR_MAX_PIXELS", "50000")
        report = index_images(folder, gallery)
        assert (report.added, len(report.failed)) == (1, 3)
        again = index_images(folder, gallery)
        assert (again.added, len(again.failed)) == (0, 3)
        monkeypatch.setenv("CBIR_MAX_PIXELS", "100000")
        report = index_images(folder, gallery)
        assert (report.added, [Path(f.uri).name for f in report.failed]) == (2, ["broken.jpg"])
        assert [Path(f.uri).name for f in gallery.catalog.failures()] == ["broken.jpg"]


def test_a_refusal_of_an_earlier_version_is_tried_again() -> None:
    reason = (
        "12,000 × 9,000 pixels is 108 megapixels, above the limit of 100; CBIR_MAX_PIXELS raises it"
    )
    assert readable_now("/photos/IMG_1.JPG", reason)
    assert not readable_now("/photos/IMG_1.png", reason)
    assert not readable_now("/photos/IMG_1.jpg", "truncated: the JPEG data ends early")
    assert not readable_now("/a.heic", "HEIC needs an extra: pip install 'cbir[none-such]', then")
    pytest.importorskip("pillow_heif")
    assert readable_now("/a.heic", "HEIC needs an extra: pip install 'cbir[heif]', then index")


def test_the_command_line_takes_the_limit_from_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "photos", {"a.png": huge_png(2000, 1000), "b.png": picture()})
    monkeypatch.setenv("CBIR_MAX_PIXELS", "1000000")
    run = cbir("index", folder, "-g", tmp_path / "g", "--backbone", "tiny_image", "--json")
    assert len(json.loads(run.out)["failed"]) == 1
    monkeypatch.setenv("CBIR_MAX_PIXELS", "2000000")
    run = cbir("index", folder, "-g", tmp_path / "g", "--json")
    assert json.loads(run.out)["added"] == 1
