"""A field of numbers in which some images have text or nothing: filters and `cbir info` say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browsing import chromium
from factories import encode, picture
from serving import running
from terminal import cbir

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.client import Client
from cbir.filters import parse_where
from cbir.server import Settings, create_app

NOTE = "2 of 5 images have a number in 'price', 1 has text, as '9,50', 2 have nothing"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    cells = ["9.50", "12", '"9,50"', "NaN", ""]
    lines = ["path,price,size"]
    for number, (cell, size) in enumerate(zip(cells, ["38", "39", "M", "L", "XL"], strict=True)):
        (folder / f"{number}.png").write_bytes(encode(picture(seed=number)))
        lines.append(f"{number}.png,{cell},{size}")
    (folder / "feed.csv").write_text("\n".join(lines))
    with Gallery.create(folder / "gallery", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder / "feed.csv", gallery)
    return folder


@pytest.mark.parametrize(
    ("where", "names", "notes"),
    [
        ("price<100", "0 1", (f"{NOTE}; only numbers are compared",)),
        ("price>=12", "1", (f"{NOTE}; only numbers are compared",)),
        ("price=9,50", "2", ()),
        ("price!=12", "0 2", ()),
        ("price>9,60", "", ()),
        (
            "size<4",
            "0 1",
            ("'size' holds text, which is compared letter by letter: '100' comes before '20'",),
        ),
        ("size>L", "2 4", ()),
    ],
)
def test_a_comparison_of_numbers_says_what_has_none(
    shop: Path, where: str, names: str, notes: tuple[str, ...]
) -> None:
    with Gallery.open(shop / "gallery") as gallery:
        result = Retriever(gallery).search(
            str(shop / "3.png"), k=9, where=parse_where([where]), exact=True
        )
        assert sorted(hit.image.name[0] for hit in result.hits if hit.image.name != "3.png") == (
            names.split()
        )
        assert result.notes == notes


def test_the_command_line_says_it(shop: Path) -> None:
    gallery = shop / "gallery"
    assert f"{NOTE}\n" in cbir("info", "-g", gallery).out
    assert json.loads(cbir("info", "-g", gallery, "--json").out)["notes"] == [NOTE]
    arguments = ("search", shop / "0.png", "-g", gallery, "--where", "price<100")
    assert f"{NOTE}; only numbers are compared\n" in cbir(*arguments).out
    note = json.loads(cbir(*arguments, "--json").out)["notes"]
    assert note == [f"{NOTE}; only numbers are compared"]


def test_recommendations_say_it(shop: Path) -> None:
    note = f"{NOTE}; only numbers are compared"
    arguments = ("recommend", "id:1", "-g", shop / "gallery", "--where", "price<100")
    assert f"{note}\n" in cbir(*arguments).out
    assert json.loads(cbir(*arguments, "--json").out)["notes"] == [note]
    with running(create_app(Settings(gallery=shop / "gallery", workers=1))) as http:
        answer = http.get("/api/v1/images/1/recommendations?where=price<100").json()
        assert answer["notes"] == [note]


def test_http_and_the_page_say_it(shop: Path) -> None:
    with running(create_app(Settings(gallery=shop / "gallery", workers=1))) as http:
        with Client(str(http.base_url)) as client:
            result = client.search(1, k=2, where=parse_where(["price<100"]))
            assert result.notes == (f"{NOTE}; only numbers are compared",)
        with chromium() as browser:
            page = browser.new_page(base_url=str(http.base_url))
            page.goto("/?q=id:1&where=price<100")
            page.wait_for_selector("#grid:not([aria-busy]) .face")
            assert NOTE in page.locator("#verdict").inner_text()
