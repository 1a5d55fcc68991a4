from __future__ import annotations

import contextlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import (
    encode,
    huge_png,
    picture,
    plain,
    srgb_profile,
    swapped_profile,
    turned,
)
from PIL import Image

from cbir.config import Preprocessing
from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import decode, open_rgb, sniff_format, thumbnail_jpeg
from cbir.images.formats import FORMATS

SMALL = Preprocessing(resize=36, crop=32)
RED, WHITE = (255, 0, 0), (255, 255, 255)


def centre_pixel(data: bytes) -> tuple[int, ...]:
    return tuple(int(v) for v in decode(data, SMALL).pixels[16, 16])


def scaled_then_cropped(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """What decode promises, in the two steps everyone knows."""
    scale = preprocessing.resize / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    left, top = (width - preprocessing.crop) // 2, (height - preprocessing.crop) // 2
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    box = (left, top, left + preprocessing.crop, top + preprocessing.crop)
    return np.asarray(scaled.crop(box).convert("RGB"))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square, in grey levels of 255."""
    return float(np.sqrt(((a.astype(float) - b.astype(float)) ** 2).mean()))


# What comes out


def test_decode_returns_writable_pixels_and_the_size_of_the_whole_image() -> None:
    decoded = decode(encode(picture(64, 48)), SMALL)
    assert decoded.pixels.shape == (32, 32, 3)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous
    assert decoded.pixels.flags.writeable
    assert (decoded.width, decoded.height) == (64, 48)


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (201, 90), (90, 201), (36, 36), (20, 11)])
def test_decode_is_scaling_then_cropping_in_one_step(size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = scaled_then_cropped(image, SMALL)
    assert difference(decode(encode(image), SMALL).pixels, expected) < 1


@pytest.mark.parametrize("size", [(1200, 900), (1203, 901), (577, 1001)])
def test_a_jpeg_decoded_at_a_reduced_size_stays_aligned(size: tuple[int, int]) -> None:
    data = encode(picture(*size), "JPEG", quality=95)
    assert difference(decode(data, SMALL).pixels, scaled_then_cropped(picture(*size), SMALL)) < 1.5


@pytest.mark.parametrize("size", [(1, 1), (1, 50_000), (50_000, 1), (3, 2)])
def test_the_most_extreme_shapes_are_decoded(size: tuple[int, int]) -> None:
    decoded = decode(encode(Image.new("RGB", size, RED)), SMALL)
    assert (decoded.width, decoded.height) == size
    assert (decoded.pixels == RED).all()


def test_a_crop_larger_than_the_scaled_image_is_filled_by_stretching() -> None:
    decoded = decode(encode(plain(RED)), Preprocessing(resize=8, crop=32))
    assert decoded.pixels.shape == (32, 32, 3)
    assert (decoded.pixels == RED).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 47), (47, 64)])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_every_exif_orientation_gives_the_upright_pixels(
    orientation: int, size: tuple[int, int], format: str
) -> None:
    upright = picture(*size)
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}
    data = turned(upright, orientation, format, **options.get(format, {}))
    expected = decode(encode(upright), SMALL).pixels

    decoded = decode(data, SMALL)

    assert (decoded.width, decoded.height) == size
    assert difference(decoded.pixels, expected) < (3 if format == "JPEG" else 0.5)
    assert open_rgb(data).size == size


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0x"])
def test_damaged_exif_is_ignored(exif: bytes) -> None:
    assert decode(encode(plain(RED), "JPEG", exif=exif), SMALL).width == 16


# Colours


def grey16(value: int, dtype: str) -> Image.Image:
    return Image.fromarray(np.full((12, 16), value, dtype))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode(plain(RED)), RED),
        (encode(plain(RED).convert("RGBA")), RED),
        (encode(Image.new("RGBA", (16, 12), (255, 0, 0, 0))), WHITE),
        (encode(Image.new("RGBA", (16, 12), (255, 0, 0, 128))), (255, 127, 127)),
        (encode(Image.new("RGBA", (16, 12), (255, 0, 0, 0)), "WEBP", lossless=True), WHITE),
        (encode(Image.new("LA", (16, 12), (10, 0))), WHITE),
        (encode(Image.new("LA", (16, 12), (10, 255))), (10, 10, 10)),
        (encode(plain(RED), transparency=RED), WHITE),
        (encode(plain(RED).convert("P")), RED),
        (encode(plain(RED).quantize(2), transparency=0), WHITE),
        (encode(plain(RED).quantize(2), transparency=b"\x80\xff"), (255, 127, 127)),
        (encode(plain(RED).quantize(2), "GIF", transparency=0), WHITE),
        (encode(plain(RED), "GIF"), RED),
        (encode(Image.new("1", (16, 12), 1)), WHITE),
        (encode(Image.new("1", (16, 12), 1), transparency=0), WHITE),
        (encode(Image.new("L", (16, 12), 77), "BMP"), (77, 77, 77)),
        (encode(Image.new("CMYK", (16, 12), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
        (encode(Image.new("CMYK", (16, 12), (0, 255, 255, 0)), "TIFF"), RED),
        (encode(plain(RED).convert("YCbCr"), "TIFF", compression="tiff_lzw"), (254, 0, 0)),
        (encode(Image.new("LAB", (16, 12), (255, 128, 128)), "TIFF"), WHITE),
        (encode(grey16(0x80FF, "u2")), (128, 128, 128)),
        (encode(grey16(0xFFFF, "u2")), WHITE),
        (encode(grey16(0x80FF, "u2"), "TIFF"), (128, 128, 128)),
        (encode(grey16(0x80FF, ">u2"), "TIFF"), (128, 128, 128)),
        (encode(grey16(0x80FF, "i4"), "TIFF"), (128, 128, 128)),
        (encode(grey16(-5, "i4"), "TIFF"), (0, 0, 0)),
        (encode(grey16(1 << 30, "i4"), "TIFF"), WHITE),
        (encode(Image.new("F", (16, 12), 0.5), "TIFF"), (127, 127, 127)),
        (encode(Image.new("F", (16, 12), 200.0), "TIFF"), (200, 200, 200)),
        (encode(Image.new("F", (16, 12), 32768.0), "TIFF"), (128, 128, 128)),
        (encode(Image.new("F", (16, 12), 1e9), "TIFF"), WHITE),
        (encode(Image.new("F", (16, 12), float("nan")), "TIFF"), (0, 0, 0)),
    ],
)
def test_every_kind_of_image_becomes_rgb(data: bytes, expected: tuple[int, ...]) -> None:
    assert centre_pixel(data) == pytest.approx(expected, abs=1)
    assert open_rgb(data).getpixel((8, 6)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_or_page_is_taken(format: str) -> None:
    frames = [plain(colour) for colour in ("red", "lime", "blue")]
    options = {"WEBP": {"lossless": True}}.get(format, {})
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert centre_pixel(data) == RED


def test_a_colour_profile_is_applied() -> None:
    data = encode(plain(RED), icc_profile=swapped_profile())
    assert centre_pixel(data) == pytest.approx((0, 255, 0), abs=2)
    assert open_rgb(data).getpixel((0, 0)) == pytest.approx((0, 255, 0), abs=2)


@pytest.mark.parametrize(
    ("image", "profile"),
    [
        (plain(RED), srgb_profile()),
        (plain(RED), b"not a profile"),
        (plain(RED), srgb_profile()[:200]),
        (Image.new("L", (16, 12), 80), swapped_profile()),  # an RGB profile on greyscale
    ],
    ids=["sRGB", "garbage", "truncated", "of another mode"],
)
def test_a_colour_profile_without_effect_or_sense_is_ignored(
    image: Image.Image, profile: bytes
) -> None:
    assert centre_pixel(encode(image, icc_profile=profile)) == centre_pixel(encode(image))


def test_an_opened_image_carries_no_metadata_that_no_longer_holds() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = open_rgb(encode(picture(), "JPEG", exif=exif, icc_profile=swapped_profile()))
    assert opened.info == {}
    assert not opened.getexif()


# Sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 480), (100, 75)), ((480, 640), (75, 100)), ((60, 20), (60, 20)), ((5000, 2), (100, 1))],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_open_rgb_shrinks_to_the_longer_side_and_never_enlarges(
    size: tuple[int, int], expected: tuple[int, int], format: str
) -> None:
    assert open_rgb(encode(picture(*size), format), max_side=100).size == expected


def test_open_rgb_keeps_the_full_size_unless_asked() -> None:
    image = picture(300, 200)
    opened = open_rgb(encode(image))
    assert opened.mode == "RGB"
    assert (np.asarray(opened) == np.asarray(image)).all()


def test_a_thumbnail_is_a_small_upright_jpeg() -> None:
    thumbnail = thumbnail_jpeg(turned(picture(300, 200), 6, "JPEG"), max_side=60)
    assert sniff_format(thumbnail) == "jpeg"
    expected = picture(300, 200).resize((60, 40), Image.Resampling.BICUBIC)
    assert difference(np.asarray(open_rgb(thumbnail)), np.asarray(expected)) < 5


# What cannot be read


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (
            b"only text",
            "not an image in a known format (JPEG, PNG, WEBP, BMP, TIFF, GIF, HEIC, AVIF, camera ",
        ),
        (b"BMW and Mini, a list", "not an image in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image in a known format"),
        (encode(picture(), "JPEG")[:-200], "truncated: the JPEG data ends early"),
        (encode(picture(), "JPEG")[:40], "truncated: the JPEG data ends early"),
        (encode(picture(), "PNG")[:-400], "truncated: the PNG data ends early"),
        (encode(picture(), "PNG")[:20], "truncated: the PNG data ends early"),
        (encode(picture(), "GIF")[:400], "truncated: the GIF data ends early"),
        (encode(picture(), "GIF")[:-200], "truncated: the GIF data ends early"),
        (encode(picture(), "BMP")[:200], "truncated: the BMP data ends early"),
        (encode(picture(), "WEBP")[:60], "unreadable WEBP: "),
        (encode(picture(), "TIFF")[:60], "unreadable TIFF: "),
        (encode(picture(), "PNG").replace(b"IDAT", b"IDAX"), "unreadable PNG: "),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    for read in (lambda: decode(data, SMALL), lambda: open_rgb(data)):
        with pytest.raises(ImageError) as caught:
            read()
        assert str(caught.value).startswith(reason)


def test_the_documentation_names_every_format_and_extra() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    for known in FORMATS.values():
        label = {"JP2": "JPEG 2000", "JXL": "JPEG XL", "WEBP": "WebP"}.get(known.label, known.label)
        assert label in page
        assert not known.extra or f"`{known.extra}`" in page


def test_an_image_above_the_pixel_limit_is_refused_by_its_header() -> None:
    data = huge_png(20_000, 20_000)
    message = (
        "20,000 × 20,000 pixels is 400 megapixels, above the limit of 100; "
        "CBIR_MAX_PIXELS raises it"
    )
    for read in (lambda: decode(data, SMALL), lambda: open_rgb(data, max_side=100)):
        with pytest.raises(ImageTooLargeError) as caught:
            read()
        assert str(caught.value) == message


def test_the_pixel_limit_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    data = encode(picture(100, 60))
    monkeypatch.setenv("CBIR_MAX_PIXELS", "5999")
    with pytest.raises(ImageTooLargeError, match="100 × 60 pixels"):
        decode(data, SMALL)
    monkeypatch.setenv("CBIR_MAX_PIXELS", "6000")
    assert decode(data, SMALL).width == 100
    assert Image.MAX_IMAGE_PIXELS == 6000, "raised as far as ours, never switched off"


def test_pillows_own_limit_is_the_same_kind_of_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Image.DecompressionBombError("too large")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile._open", refuse)
    with pytest.raises(ImageTooLargeError, match="CBIR_MAX_PIXELS raises it"):
        decode(encode(picture()), SMALL)


ENCODED = {
    "jpeg": encode(picture(40, 30), "JPEG"),
    "progressive": encode(picture(40, 30), "JPEG", progressive=True),
    "exif": turned(picture(40, 30), 6, "JPEG", icc_profile=swapped_profile()),
    "png": encode(picture(40, 30), "PNG"),
    "palette": encode(picture(40, 30).quantize(8), "PNG", transparency=b"\0\x80"),
    "gif": encode(picture(40, 30), "GIF"),
    "webp": encode(picture(40, 30), "WEBP"),
    "tiff": encode(picture(40, 30), "TIFF"),
    "tiff-lzw": encode(picture(40, 30), "TIFF", compression="tiff_lzw"),
    "bmp": encode(picture(40, 30), "BMP"),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_damaged_bytes_raise_nothing_but_image_errors(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBIR_MAX_PIXELS", "200000")  # a damaged size must not cost time
    rng = np.random.default_rng(20)
    whole = np.frombuffer(ENCODED[kind], np.uint8)
    for _ in range(250):
        damaged = whole[: rng.integers(1, len(whole) + 1)].copy()
        # Headers break in more ways than pixels do, so half of the damage goes there.
        reach = len(damaged) if rng.random() < 0.5 else min(len(damaged), 128)
        spots = rng.integers(0, reach, rng.integers(0, 6))
        damaged[spots] = rng.integers(0, 256, len(spots))
        for read in (decode, lambda data, _: open_rgb(data, max_side=16)):
            with contextlib.suppress(ImageError):
                read(damaged.tobytes(), SMALL)


def test_pillows_remarks_on_odd_files_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    data = encode(plain(RED), "TIFF", dpi=(72, 72))
    entry = data.index(b"\x1a\x01\x05\0")  # x resolution; its value is moved past the file's end
    data = data[: entry + 8] + b"\xff\xff\xff\x7f" + data[entry + 12 :]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert centre_pixel(data) == RED
    assert not caught
    assert capsys.readouterr() == ("", "")


def test_several_threads_decode_at_once() -> None:
    files = [
        encode(picture(seed=i), "JPEG", icc_profile=[swapped_profile(), srgb_profile()][i % 2])
        for i in range(8)
    ]
    alone = [decode(data, SMALL).pixels for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: decode(files[i % 8], SMALL).pixels, range(200)))
    assert all((pixels == alone[i % 8]).all() for i, pixels in enumerate(together))


# Signatures


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_format_is_known_by_its_first_bytes(format: str) -> None:
    assert sniff_format(encode(picture(), format)[:32]) == format.lower()


@pytest.mark.parametrize("head", [b"", b"\xff\xd8", b"RIFF1234WAVE", b"BM", b"GIF", b"%PDF-1.7"])
def test_other_bytes_are_no_image(head: bytes) -> None:
    assert sniff_format(head) is None
