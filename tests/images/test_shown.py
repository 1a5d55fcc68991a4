"""What is shown of images that would decode to nothing: transparent drawings, blank frames."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import encode, folder_of, picture, plain
from PIL import Image, ImageDraw, ImageFont

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.config import GalleryConfig, Preprocessing
from cbir.images import DecodeOptions, decode, decode_image, open_rgb
from cbir.images.transparency import BLACK, GREY, WHITE, choose_ground

SMALL = Preprocessing(72, 64)
CLEAR = (0, 0, 0, 0)


def letter(text: str, colour: str, *, side: int = 96, frame: str | None = None) -> Image.Image:
    """A letter on transparent ground, in a frame of another colour if one is given."""
    image = Image.new("RGBA", (side, side), CLEAR)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(0.6 * side)
    draw.text((side / 2, side / 2), text, fill=colour, font=font, anchor="mm")
    if frame is not None:
        draw.rectangle((2, 2, side - 3, side - 3), outline=frame, width=2)
    return image


@pytest.mark.parametrize("side", [48, 96, 700])
@pytest.mark.parametrize(
    ("colour", "frame", "ground"),
    [
        ("white", None, BLACK),
        ("#fafafa", None, BLACK),
        ("black", None, WHITE),
        ("#1050d0", None, WHITE),
        ("#808080", None, WHITE),
        ("yellow", None, WHITE),
        ("white", "black", GREY),
        ("black", "white", GREY),
        ("white", "#808080", BLACK),
    ],
)
def test_the_ground_shows_the_drawing(
    colour: str, frame: str | None, ground: int, side: int
) -> None:
    assert choose_ground(letter("A", colour, side=side, frame=frame)) == ground


@pytest.mark.parametrize("colour", ["white", "black", "#1050d0"])
@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF", "palette", "grey"])
def test_different_drawings_of_one_colour_differ(colour: str, format: str) -> None:
    shown = []
    for text in "AEX":
        image: Image.Image = letter(text, colour)
        if format == "palette":
            image = image.quantize(8)
        elif format == "grey":
            image = image.convert("LA")
        options = {"lossless": True} if format == "WEBP" else {}
        data = encode(image, "PNG" if format in ("palette", "grey") else format, **options)
        decoded = decode(data, SMALL)
        assert decoded.remarks == ()
        assert np.abs(decoded.pixels - np.asarray(open_rgb(data).resize((64, 64)))).mean() < 40
        shown.append(decoded.pixels.astype(int))
    assert min(np.abs(a - b).mean() for a, b in pairwise(shown)) > 5


def test_the_same_drawing_in_other_sizes_has_the_same_ground() -> None:
    for colour in ("white", "#f0f0e0", "#c0c0c0", "#7090b0"):
        grounds = {
            choose_ground(letter("R", colour, side=side)) for side in (64, 128, 300, 512, 900)
        }
        assert len(grounds) == 1


def test_a_cut_out_with_few_white_edges_stays_on_white() -> None:
    photo = picture(120, 90).convert("RGBA")
    alpha = Image.new("L", photo.size, 0)
    ImageDraw.Draw(alpha).ellipse((10, 10, 110, 80), fill=255)
    photo.putalpha(alpha)
    assert choose_ground(photo) == WHITE
    assert choose_ground(Image.new("RGBA", (20, 20), CLEAR)) == WHITE
    assert choose_ground(picture().convert("RGBA")) == WHITE


def test_an_older_gallery_keeps_white(tmp_path: Path) -> None:
    spec, _ = resolve_spec("tiny_image")
    config = GalleryConfig(spec)
    assert config.ground == "contrast"
    stored = config.to_json()
    assert GalleryConfig.from_json(stored) == config
    del stored["ground"]
    assert GalleryConfig.from_json(stored).ground == "white"

    icons = {f"{text}.png": letter(text, "white") for text in "ABX"}
    folder = folder_of(tmp_path / "icons", icons)
    with Gallery.create(tmp_path / "old", spec) as gallery:
        gallery.catalog.change_config(lambda _: GalleryConfig.from_json(stored))
        index_images(folder, gallery)
        first, second = (gallery.embedding(i) for i in (1, 2))
        assert float(first @ second) == pytest.approx(1, abs=1e-3)
        assert len(gallery.catalog.ids_with_remark("blank")) == 3
        query = Retriever(gallery).embed(folder / "A.png")
        assert float(query @ first) == pytest.approx(1, abs=1e-3)
    options = DecodeOptions(SMALL, ground="white")
    assert (decode_image(encode(icons["A.png"]), options).pixels == 255).all()


# Animations


BLANK, SHOWN = plain("white", 64, 48), picture(64, 48)
LOSSLESS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}}


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("blank", ["white", "black", "transparent"])
def test_of_an_animation_the_first_frame_that_shows_something(format: str, blank: str) -> None:
    first: Image.Image = plain(blank, 64, 48) if blank != "transparent" else plain("red", 64, 48)
    frames = [first, first, SHOWN, picture(64, 48, seed=5)]
    if blank == "transparent":
        frames = [Image.new("RGBA", (64, 48), CLEAR), *(f.convert("RGBA") for f in frames[2:])]
    data = encode(
        frames[0],
        format,
        save_all=True,
        append_images=frames[1:],
        duration=[100, 110, 120, 130][: len(frames)],
        **LOSSLESS.get(format, {}),
    )
    decoded = decode(data, SMALL)
    expected = decode(encode(SHOWN), SMALL).pixels.astype(int)
    assert np.abs(decoded.pixels - expected).mean() < 12  # a GIF has few colours
    (remark,) = decoded.remarks
    assert remark.kind == "frame"
    assert "frame" in remark.text
    assert np.abs(np.asarray(open_rgb(data)).astype(int) - np.asarray(SHOWN)).mean() < 12


def test_a_frame_that_fades_in_from_black_shows_nothing_yet() -> None:
    frames = [Image.fromarray(np.asarray(SHOWN) // divisor) for divisor in (255, 60, 30, 1)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50)
    assert np.abs(np.asarray(open_rgb(data)).astype(int) - np.asarray(SHOWN)).max() == 0


def test_an_animation_of_nothing_is_blank() -> None:
    frames = [plain(colour, 64, 48) for colour in ("white", "#fefefe", "white")]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert [remark.kind for remark in decode(data, SMALL).remarks] == ["blank"]


def test_a_pillow_image_shows_the_frame_that_its_owner_has_chosen() -> None:
    frames = [BLANK, SHOWN]
    import io

    file = io.BytesIO(encode(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    with Image.open(file) as image:
        decoded = decode_image(image, DecodeOptions(SMALL))
        assert (decoded.pixels == 255).all()
        assert image.tell() == 0


# One flat colour


@pytest.mark.parametrize(
    ("image", "blank"),
    [
        (plain("white", 90, 70), True),
        (plain("#123456", 90, 70), True),
        (Image.new("RGBA", (90, 70), CLEAR), True),
        (Image.new("I;16", (90, 70), 700), True),
        (picture(90, 70), False),
        (letter("A", "white"), False),
    ],
)
@pytest.mark.parametrize("max_side", [None, 32])
def test_one_flat_colour_is_remarked(image: Image.Image, blank: bool, max_side: int | None) -> None:
    kinds = [remark.kind for remark in decode(encode(image), SMALL).remarks]
    assert kinds == ["blank"] * blank


def test_a_spot_beside_the_crop_is_something() -> None:
    image = plain("white", 300, 60)
    image.putpixel((3, 30), (0, 0, 0))
    assert decode(encode(image), SMALL).remarks == ()


def test_a_blank_image_is_a_match_of_none(tmp_path: Path) -> None:
    images = {f"{seed:02}.png": picture(seed=seed) for seed in range(60)}
    images |= {"white-1.png": plain("white", 64, 48), "white-2.png": plain("white", 80, 60)}
    folder = folder_of(tmp_path / "photos", images)
    with Gallery.create(tmp_path / "gallery", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder, gallery)
        retriever = Retriever(gallery)
        blank_id = gallery.find(str(folder / "white-1.png")).id
        for query in (blank_id, folder / "white-1.png", plain("white", 33, 33)):
            result = retriever.search(query, k=3)
            assert result.matched is False
            assert {hit.confidence and hit.confidence.word for hit in result.hits} == {"weak"}
            assert retriever.search(query, k=3, matches_only=True).hits == ()
        # An image that shows something is nobody's match in a blank one either.
        nearly = plain("white", 64, 48)
        nearly.putpixel((5, 5), (200, 200, 200))
        result = retriever.search(nearly, k=5)
        words = {hit.image.name: hit.confidence and hit.confidence.word for hit in result.hits}
        assert words["white-1.png"] == words["white-2.png"] == "weak"
        assert result.matched is False
        assert retriever.search(folder / "05.png", k=1).matched is True
