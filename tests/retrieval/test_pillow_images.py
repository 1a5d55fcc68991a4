"""Pillow images as queries: every mode is seen as the file of the same would be."""

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import save_gradients
from factories import encode, picture, turned
from PIL import Image, ImageOps
from serving import running

from cbir import Gallery, Retriever, index_images
from cbir.client import Client
from cbir.errors import ImageError, ImageTooLargeError
from cbir.images import DecodeOptions, decode_image, encode_lossless, open_rgb
from cbir.retrieval.crop import crop_image
from cbir.server import Settings, create_app


def faded(mode: str = "RGBA") -> Image.Image:
    """A picture that is transparent towards its right side."""
    image = picture(90, 70).convert("RGBA")
    ramp = np.tile(np.linspace(255, 0, 90).astype(np.uint8), (70, 1))
    image.putalpha(Image.fromarray(ramp))
    return image.convert(mode) if mode != "RGBA" else image


def palette_with_transparency() -> Image.Image:
    image = picture(90, 70).quantize(16)
    image.info["transparency"] = 3
    return image


def grey16(mode: str) -> Image.Image:
    values = np.asarray(picture(90, 70).convert("L")).astype(np.uint16) * 257
    return Image.fromarray(values).convert(mode)


MAKERS: dict[str, Callable[[], Image.Image]] = {
    **{
        mode: lambda mode=mode: picture(90, 70).convert(mode)  # type: ignore[misc]
        for mode in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")
    },
    **{mode: lambda mode=mode: faded(mode) for mode in ("LA", "RGBA", "RGBa")},  # type: ignore[misc]
    "La": lambda: faded("LA").convert("La"),
    "PA": lambda: faded("LA").convert("PA"),
    "P with transparency": palette_with_transparency,
    **{mode: lambda mode=mode: grey16(mode) for mode in ("I;16", "I;16L", "I;16B")},  # type: ignore[misc]
}
NO_FILE_HOLDS = {"HSV": "RGB", "RGBa": "RGBA", "La": "LA", "RGBX": "RGB"}
"""Modes that no format stores, and the one in which the same image is a file."""


def file_of(name: str, image: Image.Image) -> bytes:
    if name in NO_FILE_HOLDS:
        image = image.convert(NO_FILE_HOLDS[name])
    return encode(image, "PNG" if name == "P with transparency" else "TIFF")


@pytest.fixture
def colours(tmp_path: Path, gallery: Gallery) -> Gallery:
    save_gradients(tmp_path / "colours")
    index_images(tmp_path / "colours", gallery)
    return gallery


@pytest.mark.parametrize("name", MAKERS)
def test_an_image_of_any_mode_is_seen_as_its_file(colours: Gallery, name: str) -> None:
    image, retriever = MAKERS[name](), Retriever(colours)
    before = image.mode, image.tobytes()
    expected = retriever.embed(file_of(name, image))
    np.testing.assert_array_equal(retriever.embed(image), expected)
    assert retriever.search(image).hits == retriever.search(file_of(name, image)).hits
    crop = (10.0, 5.0, 40.0, 50.0)
    np.testing.assert_array_equal(
        retriever.embed(image, crop=crop), retriever.embed(file_of(name, image), crop=crop)
    )
    shown = retriever.query_image(image)
    assert shown is not None
    np.testing.assert_array_equal(retriever.embed(shown), expected)
    assert (image.mode, image.tobytes()) == before


@pytest.mark.parametrize("size", [(90, 70), (31, 33), (1, 1), (200, 3)])
def test_a_crop_of_pixels_is_that_of_a_file(colours: Gallery, size: tuple[int, int]) -> None:
    """Bit for bit: nothing is lost by not encoding a crop."""
    whole = open_rgb(encode(picture(300, 200), "JPEG"))
    crop = crop_image(whole, (7, 11, *size))
    options = DecodeOptions(colours.spec.preprocessing, ("crop", "whole", "zoom"))
    np.testing.assert_array_equal(
        decode_image(crop, options).pixels, decode_image(encode(crop), options).pixels
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_opened_file_is_turned_upright(colours: Gallery, orientation: int) -> None:
    retriever, stored = Retriever(colours), turned(picture(90, 70), orientation, "PNG")
    with Image.open(io.BytesIO(stored)) as image:
        np.testing.assert_array_equal(retriever.embed(image), retriever.embed(stored))
        np.testing.assert_array_equal(
            retriever.embed(encode_lossless(image)), retriever.embed(stored)
        )
        upright = ImageOps.exif_transpose(image)  # turned already: as it is
    np.testing.assert_allclose(retriever.embed(upright), retriever.embed(stored), atol=1e-3)


def test_pixels_are_an_image(colours: Gallery) -> None:
    image, retriever = picture(90, 70), Retriever(colours)
    np.testing.assert_array_equal(
        retriever.embed(np.asarray(image)), retriever.embed(encode(image))
    )


def test_an_image_that_shows_nothing_or_too_much(
    colours: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = Retriever(colours)
    with pytest.raises(ImageError, match="0 × 5 pixels"):
        retriever.search(Image.new("RGB", (0, 5)))
    with (
        Image.open(io.BytesIO(encode(picture(400, 300), "JPEG")[:2000])) as truncated,
        pytest.raises(ImageError, match="truncated"),
    ):
        retriever.search(truncated)
    monkeypatch.setenv("CBIR_MAX_PIXELS", "1000")
    with pytest.raises(ImageTooLargeError, match="above the limit"):
        retriever.search(picture(90, 70))


def test_the_client_sees_what_the_library_sees(tmp_path: Path, colours: Gallery) -> None:
    """The similarities to four images pin the vector down well enough to tell a black ground."""
    retriever = Retriever(colours)
    app = create_app(Settings(gallery=colours.path))
    with running(app) as http, Client(str(http.base_url)) as client:
        for name, make in MAKERS.items():
            image = make()
            mine = {hit.image.id: hit.similarity for hit in retriever.search(image).hits}
            theirs = {hit.image.id: hit.similarity for hit in client.search(image).hits}
            assert theirs == pytest.approx(mine, abs=1e-6), name
            away = client.search(1, unwanted=[image])
            assert [hit.image.id for hit in away.hits] == [
                hit.image.id for hit in retriever.search(1, unwanted=[image]).hits
            ], name


@pytest.mark.parametrize("name", MAKERS)
def test_what_the_client_sends_decodes_to_the_same_vector(
    colours: Gallery, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sent: list[bytes] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request.read())
        return httpx.Response(
            200, json={"query": "", "hits": [], "timings_ms": {}, "reranked": 0, "matched": None}
        )

    image, retriever = MAKERS[name](), Retriever(colours)
    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        Client("http://server", http=http).search(image)
    start = min(at for at in (sent[0].find(b"\x89PNG"), sent[0].find(b"II*\0")) if at >= 0)
    np.testing.assert_array_equal(retriever.embed(sent[0][start:]), retriever.embed(image))
