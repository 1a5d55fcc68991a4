"""JPEG XL (an extra) and JPEG 2000, which Pillow reads by itself."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture
from PIL import Image

from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import formats, open_rgb, sniff_format
from cbir.sources import open_source
from cbir.types import FailedImage

pillow_jxl = pytest.importorskip("pillow_jxl")

from cbir.images.jpeg_xl import jpeg_xl_size  # noqa: E402  needs the extra

SIDEWAYS = 6


def jpeg_xl(image: Image.Image, **options: object) -> bytes:
    return encode(image, "JXL", **options)


@pytest.mark.parametrize("size", [(64, 48), (40, 40), (641, 480), (17, 2000), (3, 5), (800, 400)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_is_read_without_decoding(size: tuple[int, int], container: bool) -> None:
    data = jpeg_xl(picture(*size), use_container=container, effort=1)
    assert sniff_format(data[:32]) == "jxl"
    assert jpeg_xl_size(data) == size


def test_pixels_are_those_of_the_picture() -> None:
    image = picture(64, 48)
    with Image.open(io.BytesIO(encode(image))) as reference:
        decoded = open_rgb(jpeg_xl(image, lossless=True))
        assert np.array_equal(np.asarray(decoded), np.asarray(reference))
    assert np.array_equal(
        np.asarray(open_rgb(encode(image, "JPEG2000"))), np.asarray(image.convert("RGB"))
    )


def test_a_jpeg_xl_is_turned_once(tmp_path: Path) -> None:
    """The codestream says how it is turned; only a transcoded JPEG has it in its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    image = picture(64, 48)
    assert open_rgb(jpeg_xl(image, exif=exif.tobytes())).size == (64, 48)
    image.save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as jpeg:
        jpeg.save(tmp_path / "a.jxl", lossless_jpeg=True)
    assert open_rgb((tmp_path / "a.jxl").read_bytes()).size == (48, 64)


def test_too_large_an_image_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = jpeg_xl(picture(100, 100), effort=1)
    monkeypatch.setenv("CBIR_MAX_PIXELS", "9999")
    monkeypatch.setattr("pillow_jxl.JpegXLImagePlugin.Decoder", None)
    with pytest.raises(ImageTooLargeError, match="100 × 100 pixels"):
        open_rgb(data)


@pytest.mark.parametrize("keep", [2, 3, 8, 40, 60])
def test_damage_is_a_failure(keep: int) -> None:
    with pytest.raises(ImageError):
        open_rgb(jpeg_xl(picture())[:keep] + b"\0" * 20)


def test_without_the_extra_files_are_left_out_and_one_named_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(formats.EXTRA_SUFFIXES, ".jxl", ("jxl", "no_such_module"))
    monkeypatch.setattr("cbir.sources.folder.IMAGE_SUFFIXES", formats.IMAGE_SUFFIXES - {".jxl"})
    monkeypatch.setitem(__import__("sys").modules, "cbir.images.jpeg_xl", None)
    (tmp_path / "a.jxl").write_bytes(data := jpeg_xl(picture()))
    folder = open_source(tmp_path)
    assert list(folder) == []
    assert folder.skipped.files == {".jxl": 1}  # type: ignore[attr-defined]
    (entry,) = open_source(tmp_path / "a.jxl")
    assert not isinstance(entry, FailedImage)
    with pytest.raises(ImageError, match=r"JXL needs an extra: pip install 'cbir\[jxl\]'"):
        open_rgb(data)
