"""TIFFs of every kind show the same picture: a table of samples against reference pixels."""

from __future__ import annotations

import io
import itertools
import struct
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from factories import encode, picture
from PIL import Image, ImageCms

from cbir.config import Preprocessing
from cbir.errors import ImageError
from cbir.images import check_header, decode, open_rgb, sniff_format

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

Levels = npt.NDArray[np.uint8]

RGB = np.asarray(picture(26, 18))
GREY = np.asarray(picture(26, 18).convert("L"))
OPAQUE = np.full(GREY.shape, 255, np.uint8)
ORDERS, PLANES = "<>", ("contig", "separate")


def tiff(samples: npt.NDArray[Any], **options: Any) -> bytes:
    """`samples` (H, W) or (H, W, S); options as of `tifffile.imwrite`."""
    if options.get("planarconfig") == "separate":
        samples = np.moveaxis(samples, -1, 0)
    file = io.BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def packed(values: npt.NDArray[Any], bits: int, **options: Any) -> bytes:
    """Integers of any number of bits, packed into bytes, highest bit first."""
    if bits in (8, 16, 32):
        return tiff(values, **options)
    planes = values[..., None] if values.ndim == 2 else values
    if options.get("planarconfig") == "separate":
        planes = np.moveaxis(planes, -1, 0)[..., None]
    else:
        planes = planes[None]
    digits = (planes[..., None] >> np.arange(bits)[::-1]) & 1
    rows = digits.reshape(*planes.shape[:2], -1).astype(np.uint8)
    strips = [np.packbits(plane, axis=-1).tobytes() for plane in rows]
    count = values.shape[2] if values.ndim == 3 else 1
    photometric = {"miniswhite": 0, "minisblack": 1, "rgb": 2}[options["photometric"]]
    height, width = values.shape[:2]
    order = options["byteorder"]
    entries: dict[int, tuple[str, list[int]]] = {
        256: ("H", [width]),
        257: ("H", [height]),
        258: ("H", [bits] * count),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [8 + sum(map(len, strips[:i])) for i in range(len(strips))]),
        277: ("H", [count]),
        278: ("H", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [1 if options.get("planarconfig", "contig") == "contig" else 2]),
        **({338: ("H", [2])} if "extrasamples" in options else {}),
    }
    at = 8 + sum(map(len, strips))
    more_at = at + 2 + 12 * len(entries) + 4
    directory, more = struct.pack(order + "H", len(entries)), b""
    for tag, (form, numbers) in entries.items():
        content = struct.pack(f"{order}{len(numbers)}{form}", *numbers)
        kind = {"H": 3, "I": 4}[form]
        directory += struct.pack(order + "HHI", tag, kind, len(numbers))
        if len(content) <= 4:
            directory += content.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "I", more_at + len(more))
            more += content
    mark = b"II*\0" if order == "<" else b"MM\0*"
    end = struct.pack(order + "I", 0)
    return mark + struct.pack(order + "I", at) + b"".join(strips) + directory + end + more


def scaled(levels: Levels, bits: int, kind: str = "u") -> npt.NDArray[Any]:
    """Levels of 8 bits as unsigned or signed integers of `bits`, or as floats from 0 to 1."""
    if kind == "f":
        return (levels / 255).astype(f"f{bits // 8}")
    white = (1 << bits) - 1
    values = np.rint(levels.astype(np.float64) / 255 * white)
    if kind == "i":
        return (values - (1 << (bits - 1))).astype(f"i{bits // 8}")
    return values.astype("u1" if bits <= 8 else "u2" if bits <= 16 else "u4")


def shown(data: bytes) -> npt.NDArray[np.int16]:
    assert sniff_format(data[:32]) == "tiff"
    return np.asarray(open_rgb(data)).astype(np.int16)


def worst(data: bytes, expected: Levels, bits: int = 8) -> float:
    """The largest difference in levels, beyond what so few bits cannot tell apart."""
    if expected.ndim == 2:
        expected = expected[..., None]
    white = (1 << min(bits, 8)) - 1
    rounded = np.rint(expected / 255 * white) * 255 / white
    return float(np.abs(shown(data) - rounded).max())


DEPTHS = [
    *((bits, "u") for bits in (1, 2, 4, 8, 10, 12, 14, 16, 32)),
    *((bits, "i") for bits in (8, 16, 32)),
    *((bits, "f") for bits in (16, 32, 64)),
]
DEEP = [depth for depth in DEPTHS if depth[0] >= 8]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize(("bits", "kind"), DEPTHS)
def test_greys(bits: int, kind: str, photometric: str, order: str) -> None:
    levels = 255 - GREY if photometric == "miniswhite" else GREY
    options: dict[str, Any] = {"photometric": photometric, "byteorder": order}
    values = scaled(levels, bits, kind)
    if bits == 1:
        values = values.astype(bool)
    elif kind == "u":
        assert worst(packed(values, bits, **options), GREY, bits) <= 2
        return
    for compression in (None, "zlib"):
        data = tiff(values, **options, compression=compression)
        assert worst(data, GREY, bits) <= 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("planes", PLANES)
@pytest.mark.parametrize(("bits", "kind"), DEEP)
def test_colours(bits: int, kind: str, planes: str, order: str) -> None:
    options: dict[str, Any] = {"photometric": "rgb", "planarconfig": planes, "byteorder": order}
    write = partial(packed, bits=bits) if kind == "u" else tiff
    assert worst(write(scaled(RGB, bits, kind), **options), RGB) <= 2
    rgba = np.dstack([RGB, OPAQUE])
    data = write(scaled(rgba, bits, kind), **options, extrasamples=["unassalpha"])
    assert worst(data, RGB) <= 2


@pytest.mark.parametrize("planes", PLANES)
@pytest.mark.parametrize(("bits", "kind"), [(8, "u"), (16, "u"), (32, "u"), (32, "f")])
@pytest.mark.parametrize("colours", ["grey", "rgb", "cmyk"])
def test_transparency(colours: str, bits: int, kind: str, planes: str) -> None:
    base = {"grey": GREY[..., None], "rgb": RGB, "cmyk": cmyk_of(RGB)}[colours]
    photometric = {"grey": "minisblack", "rgb": "rgb", "cmyk": "separated"}[colours]
    alpha = OPAQUE.copy()
    alpha[:, :13] = 0
    expected = GREY[..., None].repeat(3, 2) if colours == "grey" else RGB
    expected = np.where(alpha[..., None] == 0, 255, expected)
    samples = scaled(np.dstack([base, alpha]), bits, kind)
    options = {"photometric": photometric, "planarconfig": planes}
    assert worst(tiff(samples, **options, extrasamples=["unassalpha"]), expected) <= 3
    if colours != "cmyk":  # premultiplied
        premultiplied = np.dstack([np.where(alpha[..., None] == 0, 0, base), alpha])
        samples = scaled(premultiplied, bits, kind)
        assert worst(tiff(samples, **options, extrasamples=["assocalpha"]), expected) <= 3


@pytest.mark.parametrize("planes", PLANES)
@pytest.mark.parametrize(("bits", "kind"), [(8, "u"), (12, "u"), (16, "u"), (32, "f")])
def test_inks(bits: int, kind: str, planes: str) -> None:
    options: dict[str, Any] = {"photometric": "separated", "planarconfig": planes}
    if kind == "u":
        options["bitspersample"] = bits
    assert worst(tiff(scaled(cmyk_of(RGB), bits, kind), **options), RGB) <= 2


@pytest.mark.parametrize("order", ORDERS)
def test_luminance_and_chrominance_of_sixteen_bits(order: str) -> None:
    samples = np.asarray(picture(26, 18).convert("YCbCr")).astype(np.uint16) * 257
    assert worst(tiff(samples, photometric="ycbcr", byteorder=order), RGB) <= 4


@pytest.mark.parametrize("bits", [8, 16])
def test_lab(bits: int) -> None:
    to_lab = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    lab = ImageCms.profileToProfile(picture(26, 18), *to_lab, outputMode="LAB")
    assert lab is not None
    samples: npt.NDArray[Any] = np.frombuffer(lab.tobytes(), np.uint8).reshape(18, 26, 3)
    if bits == 16:
        samples = samples.astype(np.uint16) << 8
    # Saturated colours lose most in the 8 bits of L*a*b*.
    assert np.abs(shown(tiff(samples, photometric="cielab")) - RGB).mean() < 2


def cmyk_of(rgb: Levels) -> Levels:
    """Inks that Pillow converts to these colours: no black."""
    return np.dstack([255 - rgb, np.zeros_like(rgb[..., :1])])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_palette(dtype: str) -> None:
    palette = np.asarray(picture(256, 1), np.uint16)[0].T * 257
    indices = GREY.astype(dtype)
    if dtype == "u2":
        palette = palette.repeat(256, axis=1)
        indices = indices * 256
    expected = (np.asarray(picture(256, 1))[0])[GREY]
    assert worst(tiff(indices, photometric="palette", colormap=palette), expected) <= 1


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize(("bits", "kind"), [(8, "u"), (16, "u"), (32, "f")])
def test_compressions(bits: int, kind: str, predictor: bool, compression: str) -> None:
    samples = scaled(RGB, bits, kind)
    if compression == "packbits" and predictor:
        pytest.skip("a predictor makes no sense there")
    for planes in PLANES:
        options = {"photometric": "rgb", "planarconfig": planes, "compression": compression}
        assert worst(tiff(samples, **options, predictor=predictor), RGB) <= 2


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_tiles_and_big_files(photometric: str) -> None:
    levels = 255 - GREY if photometric == "miniswhite" else GREY
    options = {"photometric": photometric, "tile": (16, 16)}
    for order, big in itertools.product(ORDERS, (False, True)):
        data = tiff(scaled(levels, 16), **options, byteorder=order, bigtiff=big)
        assert worst(data, GREY) <= 2


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("format", ["TIFF", "PNG", "colour TIFF", "colour PNG"])
def test_few_bits_of_sixteen(format: str, bits: int) -> None:
    """A camera's or scanner's 12 bits in a file of 16 are not black."""
    colour = format.startswith("colour")
    levels = RGB if colour else GREY
    values = scaled(levels, bits).astype(np.uint16)
    if format.endswith("TIFF"):
        data = tiff(values, photometric="rgb" if colour else "minisblack")
        assert worst(data, levels) <= 2
    else:
        import cv2

        data = cv2.imencode(".png", values[..., ::-1] if colour else values)[1].tobytes()
        expected = levels if colour else levels[..., None]
        assert np.abs(np.asarray(open_rgb(data)).astype(int) - expected).max() <= 2


def test_a_dark_picture_of_sixteen_bits_stays_dark() -> None:
    """Its levels are those of 8 bits: they use 14 bits, and are not meant so."""
    dark = GREY // 8
    assert worst(tiff(dark.astype(np.uint16) * 257), dark) <= 1
    assert worst(tiff(dark.astype(np.uint16) * 256), dark) <= 1
    # The file says that white is the largest number of 16 bits.
    data = tiff(dark.astype(np.uint16) * 257 + 1, extratags=[(281, "H", 1, 65535, True)])
    assert worst(data, dark) <= 1


def test_floats_have_the_usual_whites() -> None:
    for white in (1, 255, 65535):
        assert worst(tiff((GREY / 255 * white).astype("f4")), GREY) <= 1
    highlights = (GREY / 255).astype("f4")
    highlights[0, 0] = 300  # of a picture with a high dynamic range
    expected = GREY.copy()
    expected[0, 0] = 255
    assert worst(tiff(highlights), expected) <= 1
    heights = np.linspace(-120, 900, GREY.size, dtype="f4").reshape(GREY.shape)
    heights[3, 3] = -9999
    data = tiff(heights, extratags=[(42113, "s", 0, "-9999", True)])
    assert shown(data).max() == 255
    assert np.median(shown(data)) == pytest.approx(127, abs=2)


def test_what_has_no_colours_says_so() -> None:
    five = np.dstack([RGB, GREY, GREY])
    data = tiff(five, photometric="separated", extratags=[(332, "H", 1, 2, True)])
    for read in (lambda: open_rgb(data), lambda: decode(data, Preprocessing(36, 32))):
        with pytest.raises(ImageError, match="inks other than cyan"):
            read()


def test_channels_beyond_the_colours_are_left_out() -> None:
    five = np.dstack([RGB, GREY, GREY])
    assert worst(tiff(five, photometric="rgb", extrasamples=[0, 0]), RGB) <= 1
    stack = np.dstack([GREY, 255 - GREY, GREY])
    data = tiff(stack, photometric="minisblack", planarconfig="separate", extrasamples=[0, 0])
    assert worst(data, GREY) <= 1


def test_compressions_that_only_the_extra_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff(scaled(GREY, 16), photometric="miniswhite", compression="lzw")
    check_header(data)

    def fails(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr("tifffile.TiffPage.asarray", fails)
    with pytest.raises(ImageError, match=r"LZW compression needs an extra.*cbir\[tiff\]"):
        open_rgb(data)


# Which picture is shown


def pages(*parts: tuple[npt.NDArray[Any], dict[str, Any]], order: str = "<") -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:
        for samples, options in parts:
            writer.write(samples, metadata=None, **options)
    return file.getvalue()


SMALL = np.asarray(Image.new("RGB", (13, 9), "red"))
REDUCED = {"photometric": "rgb", "subfiletype": 1}
PICTURE = {"photometric": "rgb", "subfiletype": 0}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "parts",
    [
        [(SMALL, {**REDUCED, "subifds": 1}), (RGB, PICTURE)],
        [(SMALL, {"photometric": "rgb", "subifds": 1}), (RGB, PICTURE)],
        [(SMALL, REDUCED), (RGB, PICTURE)],
        [(SMALL, PICTURE), (RGB, PICTURE)],
        [(RGB, PICTURE), (SMALL, REDUCED)],
        [(RGB, {**PICTURE, "subifds": 1}), (SMALL, REDUCED)],
        [(SMALL, REDUCED), (RGB, {**PICTURE, "compression": "lzw"})],
        [(SMALL, REDUCED), (RGB.astype("u2") * 257, {**PICTURE, "planarconfig": "contig"})],
        [(SMALL, REDUCED), ((RGB / 255).astype("f4"), PICTURE)],
    ],
    ids=["part", "unmarked part", "page", "icon", "first", "own part", "LZW", "16 bits", "float"],
)
def test_the_picture_is_shown_not_its_preview(
    parts: list[tuple[npt.NDArray[Any], dict[str, Any]]], order: str
) -> None:
    data = pages(*parts, order=order)
    assert worst(data, RGB) <= 1
    decoded = decode(data, Preprocessing(36, 32))
    assert (decoded.width, decoded.height) == (26, 18)


def test_of_pages_the_first_is_shown() -> None:
    other = np.asarray(picture(52, 80, seed=3))
    assert worst(pages((RGB, PICTURE), (other, PICTURE)), RGB) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_samples_are_turned_upright(orientation: int) -> None:
    from factories import TO_STORED

    upright = picture(26, 18)
    stored = upright.transpose(TO_STORED[orientation]) if orientation > 1 else upright
    samples = (np.asarray(stored) / 255).astype("f4")
    data = tiff(samples, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    assert worst(data, RGB) <= 1
    decoded = decode(data, Preprocessing(36, 32))
    assert (decoded.width, decoded.height) == (26, 18)
    expected = decode(encode(upright), Preprocessing(36, 32)).pixels.astype(int)
    assert np.abs(decoded.pixels - expected).max() <= 4


def test_a_circle_of_directories_ends() -> None:
    data = bytearray(pages((RGB, PICTURE), (SMALL, REDUCED)))
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    following = first + 2 + 12 * count
    data[following : following + 4] = data[4:8]
    assert worst(bytes(data), RGB) <= 1
