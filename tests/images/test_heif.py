"""HEIC and AVIF, as cameras and phones make them."""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture, turned
from images.test_decoding import SMALL, difference
from PIL import Image, features
from terminal import cbir

from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import check_header, decode, open_rgb, sniff_format

pillow_heif = pytest.importorskip("pillow_heif")
FORMATS = ["HEIC"] + (["AVIF"] if features.check("avif") else [])


def coded(image: Image.Image, format: str, orientation: int = 1) -> bytes:
    """An upright image in one of the formats, stored turned and marked so."""
    if format == "AVIF":
        return turned(image, orientation, "AVIF", quality=95)
    stored = Image.open(BytesIO(turned(image, orientation, "PNG")))
    exif = stored.getexif().tobytes()
    encoded = BytesIO()
    pillow_heif.encode(stored.mode, stored.size, stored.tobytes(), encoded, quality=95, exif=exif)
    return encoded.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_it_is_told_by_its_content_and_decoded(format: str) -> None:
    image = picture(120, 90)
    data = coded(image, format)
    assert sniff_format(data[:32]) == format.lower()
    decoded = decode(data, SMALL)
    assert (decoded.width, decoded.height) == (120, 90)
    assert difference(decoded.pixels, decode(encode(image), SMALL).pixels) < 4


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_upright_once(format: str, orientation: int) -> None:
    image = picture(96, 64)
    opened = open_rgb(coded(image, format, orientation))
    assert opened.size == (96, 64)
    assert difference(np.asarray(opened), np.asarray(image)) < 6


@pytest.mark.parametrize("format", FORMATS)
def test_its_size_is_checked_before_it_is_decoded(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = coded(picture(120, 90), format)
    monkeypatch.setenv("CBIR_MAX_PIXELS", "10000")
    with pytest.raises(ImageTooLargeError, match="120 × 90 pixels"):
        check_header(data)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kept", [40, 200, 0.6])
def test_damage_has_a_reason(format: str, kept: float) -> None:
    data = coded(picture(120, 90), format)
    with pytest.raises(ImageError, match=rf"(?i){format}"):
        decode(data[: int(kept * len(data)) if kept < 1 else int(kept)], SMALL)


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf", "avif"),
        (b"\0\0\0\x20ftypmsf1\0\0\0\0", "heic"),
        (b"\0\0\0\x20ftypisom\0\0\0\0isomavif", None),
        (b"\0\0\0\x20ftypqt  ", None),
        (b"\0\0\0\x20ftyp", None),
    ],
)
def test_a_film_is_no_picture(head: bytes, format: str | None) -> None:
    assert sniff_format(head) == format


def test_without_the_extra_a_folder_is_indexed_as_far_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.HEIC").write_bytes(coded(picture(seed=1), "HEIC"))
    (photos / "b.jpg").write_bytes(encode(picture(seed=2), "JPEG"))
    args = "index", photos, "-g", tmp_path / "g", "--backbone", "tiny_image"
    with monkeypatch.context() as lacking:
        for name in ("pillow_heif", "pillow_heif.as_plugin"):
            lacking.setitem(sys.modules, name, None)
        run = cbir(*args)
        assert run.code == 3
        assert "HEIC needs an extra: pip install 'cbir[heif]'" in run.out
    assert cbir(*args, "--retry-failed").out.startswith("added 1   unchanged 1")
