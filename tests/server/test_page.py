"""The page as people use it: in a real browser, over a real server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import chromium, violations
from conftest import save_gradients
from factories import picture
from PIL import Image
from serving import Serve, running

from cbir import Gallery, index_images, resolve_spec
from cbir.config import MULTI_CROP
from cbir.server import Settings, create_app

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, http: httpx.Client) -> Iterator[Any]:
    """A page on the shop's server; what a test leaves in the console as an error fails it."""
    context = browser.new_context(viewport=WIDE, base_url=str(http.base_url))
    context.set_default_timeout(10_000)
    page = context.new_page()
    errors: list[str] = []

    def note(message: Any) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def hits(page: Any) -> list[str]:
    """The results in their order, once the answer is there."""
    page.wait_for_selector("#grid:not([aria-busy]) .face, #verdict:has-text('No image')")
    labels = page.locator("#grid .face").evaluate_all("all => all.map(a => a.ariaLabel)")
    return [re.sub(r"\.png.*", "", label) for label in labels]


def choose(page: Any, file: Path) -> None:
    page.wait_for_selector("#start-grid img")
    page.set_input_files("#file", file)


def test_the_first_screen_offers_a_start(page: Any) -> None:
    page.goto("/")
    page.wait_for_selector("#start-grid img")
    assert page.inner_text("#size") == "4 images"
    assert "Drop, paste or choose an image" in page.inner_text("#drop")
    assert page.locator("#start-grid .tile").count() == 4
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "drop"


def test_an_image_that_is_chosen_finds_what_is_like_it(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    choose(page, tmp_path / "colours" / "red.png")
    assert hits(page)[:2] == ["red", "pink"]
    # The state is a link: another load of it finds the image that was dropped, too.
    page.reload()
    assert hits(page)[:2] == ["red", "pink"]
    page.go_back()
    page.wait_for_selector("#drop")
    assert page.is_visible("#drop")


def test_an_image_can_be_dropped_and_pasted(page: Any) -> None:
    for what, data in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.goto("/")
        page.wait_for_selector("#start-grid img")
        page.evaluate(
            """async ([what, data]) => {
              const canvas = new OffscreenCanvas(64, 64);
              const context = canvas.getContext("2d");
              context.fillStyle = "white"; context.fillRect(0, 0, 64, 64);
              context.fillStyle = "rgb(30, 60, 200)"; context.fillRect(0, 0, 32, 64);
              const transfer = new DataTransfer();
              transfer.items.add(new File([await canvas.convertToBlob()], "new.png",
                                          { type: "image/png" }));
              const event = what === "drop"
                ? new DragEvent(what, { dataTransfer: transfer, bubbles: true })
                : new ClipboardEvent(what, { clipboardData: transfer, bubbles: true });
              document.body.dispatchEvent(event);
            }""",
            [what, data],
        )
        assert hits(page)[0] == "blue"


def test_more_like_this_starts_from_a_result(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    choose(page, tmp_path / "colours" / "red.png")
    hits(page)
    page.hover("#grid .tile:nth-child(2)")
    page.click("#grid .tile:nth-child(2) >> text=Search with this")
    page.wait_for_url("**/?q=id*")
    assert hits(page)[0] == "red"
    assert "pink.png" in page.inner_text("#query")


def test_a_box_searches_for_a_detail(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    choose(page, tmp_path / "colours" / "blue.png")
    before = hits(page)
    area = page.locator(".crop-surface").bounding_box()
    left, top = area["x"] + 0.6 * area["width"], area["y"] + 0.1 * area["height"]
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 0.3 * area["width"], top + 0.5 * area["height"], steps=4)
    page.mouse.up()
    page.wait_for_url("**crop=*")
    hits(page)
    match = re.search(r"crop=([\d.%C]+)", page.url)
    assert match
    crop = [float(part) for part in match[1].split("%2C")]
    assert crop == pytest.approx([0.6, 0.1, 0.3, 0.5], abs=0.02)
    page.click("text=whole image")
    page.wait_for_url(lambda url: "crop" not in url)
    assert hits(page) == before


def test_a_box_can_be_drawn_with_keys(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    choose(page, tmp_path / "colours" / "blue.png")
    hits(page)
    page.focus(".crop-surface")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**crop=0.29*")
    hits(page)
    page.focus(".crop-surface")
    page.keyboard.press("Backspace")
    page.wait_for_url(lambda url: "crop" not in url)


def test_filters_are_made_from_the_fields(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    choose(page, tmp_path / "colours" / "red.png")
    assert len(hits(page)) == 4
    page.click(".chip summary:has-text('kind')")
    page.click(".popover label:has-text('cold')")
    page.wait_for_url("**where=kind%3Dcold")
    assert sorted(hits(page)) == ["blue", "green"]
    page.click(".chip summary:has-text('price')")
    page.fill(".popover:visible input[placeholder='5.5']", "20")
    page.keyboard.press("Enter")
    page.wait_for_url("**where=price%3E%3D20")
    assert hits(page) == ["green"]
    page.reload()
    assert hits(page) == ["green"]
    assert page.inner_text(".chip.on >> nth=0") in ("kind: cold", "price: from 20")
    page.click("text=clear")
    page.wait_for_url(lambda url: "where" not in url)
    assert len(hits(page)) == 4


def test_filters_nobody_matches_are_said(page: Any) -> None:
    page.goto("/?q=id:1&where=price%3E1000")
    assert hits(page) == []
    assert page.inner_text("#verdict") == "No image matches all filters."


def test_results_can_be_marked_and_searched_with(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    choose(page, tmp_path / "colours" / "red.png")
    first, second, *_ = hits(page)
    page.focus("#grid .face")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.wait_for_url("**not=id*")
    assert second not in hits(page)
    assert "not like" in page.inner_text("#query")
    page.keyboard.press("Escape")  # back
    page.wait_for_url(lambda url: "not=" not in url)
    assert hits(page)[:2] == [first, second]
    page.focus("#grid .face")
    page.keyboard.press("w")
    page.wait_for_url("**q=upload*q=id*")
    page.locator("#query", has_text="and like").wait_for()  # drawn after the address changes
    page.click("[aria-label^='Leave out']")
    page.wait_for_url(lambda url: "id%3A" not in url)


def test_a_link_opens_an_image(page: Any) -> None:
    page.goto("/?q=id:1&open=3")
    page.wait_for_selector("#panel dl")
    panel = page.inner_text("#panel")
    assert "pink.png" in panel
    assert "price\n20" in panel
    page.wait_for_selector("#panel .grid .face")  # recommendations
    page.click("text=show the verified matches")
    page.wait_for_selector(".matches figcaption")
    assert re.search("SIFT", page.inner_text(".matches figcaption"))
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    assert page.url.endswith("?q=id%3A1")


def test_enter_opens_and_escape_returns_to_the_result(page: Any) -> None:
    page.goto("/?q=id:1")
    hits(page)
    page.focus("#grid .face")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel dl")
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    assert page.evaluate("document.activeElement === document.querySelectorAll('#grid .face')[1]")


def test_reranking_is_a_switch(page: Any) -> None:
    page.goto("/?q=id:1")
    hits(page)
    page.click("text=Options")
    page.select_option(".knobs select >> nth=0", "ssim")
    page.wait_for_url("**rerank=ssim")
    hits(page)
    assert "reranked" in page.inner_text("#verdict")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1440", "390"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(page: Any, size: Any, scheme: str) -> None:
    """axe-core finds nothing serious, and nothing is wider than the screen."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    for address, there in (
        ("/", "#start-grid img"),
        ("/?q=id:1&not=id:4&where=kind%3Dwarm", "#grid .face img"),
        ("/?q=id:1&open=2", "#panel dl"),
    ):
        page.goto(address)
        page.wait_for_selector(there)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


def test_rows_are_filled_and_aspects_kept(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    shapes = [(90, 60), (60, 90), (64, 64), (120, 50)] * 6
    for number, (width, height) in enumerate(shapes):
        picture(width, height, seed=number).save(folder / f"{number}.png")
    with Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder, gallery)
    with running(create_app(Settings(gallery=tmp_path / "g"))) as http:
        page = browser.new_page(viewport=WIDE)
        page.goto(f"{http.base_url}?q=id:1")
        page.wait_for_selector("#grid .face img")
        boxes = page.locator("#grid .tile").evaluate_all(
            "all => all.map(t => { const b = t.getBoundingClientRect();"
            " return [b.left, b.top, b.width, b.height, Number(t.dataset.aspect)]; })"
        )
        grid = page.locator("#grid").bounding_box()
        page.close()
    rows: dict[float, list[list[float]]] = {}
    for box in boxes:
        rows.setdefault(round(box[1]), []).append(box)
        assert box[2] / box[3] == pytest.approx(box[4], rel=0.02)
    *full, _last = rows.values()
    assert len(full) >= 2
    for row in full:
        right = row[-1][0] + row[-1][2]
        assert right == pytest.approx(grid["x"] + grid["width"], abs=1.5)
        assert 150 < row[0][3] < 300


def test_confidence_is_said_in_words(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        picture(seed=number).save(folder / f"{number:02d}.png")
    picture(seed=1000).save(tmp_path / "stranger.png")
    with Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder, gallery)
    with running(create_app(Settings(gallery=tmp_path / "g"))) as http:
        page = browser.new_page(base_url=str(http.base_url))
        page.goto("/")
        choose(page, tmp_path / "stranger.png")
        hits(page)
        assert page.inner_text("#verdict strong") == "No confident match. Most similar images:"
        page.goto("/")
        choose(page, folder / "07.png")
        assert hits(page)[0] == "07"
        assert page.locator("#verdict strong").count() == 0
        page.hover("#grid .tile")
        assert "very likely the same object" in page.inner_text("#grid .tile .facts >> nth=0")
        page.close()


def test_the_region_that_matched_is_outlined(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(8):
        picture(240, 180, seed=number).save(folder / f"{number}.png")
    picture(240, 180, seed=3).crop((0, 0, 120, 90)).save(tmp_path / "detail.png")
    spec = resolve_spec("tiny_image")[0]
    with Gallery.create(tmp_path / "g", spec, regions=MULTI_CROP) as gallery:
        index_images(folder, gallery)
    with running(create_app(Settings(gallery=tmp_path / "g"))) as http:
        page = browser.new_page(base_url=str(http.base_url))
        page.goto("/")
        choose(page, tmp_path / "detail.png")
        assert hits(page)[0] == "3"
        face = page.locator("#grid .face").first.bounding_box()
        outline = page.locator("#grid .face .outline").first.bounding_box()
        page.close()
    assert outline["x"] == pytest.approx(face["x"], abs=3)
    assert outline["width"] == pytest.approx(face["width"] / 2, abs=3)


def test_an_empty_gallery_says_what_fills_it(browser: Any, tmp_path: Path) -> None:
    Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]).close()
    with running(create_app(Settings(gallery=tmp_path / "g"))) as http:
        page = browser.new_page()
        page.goto(str(http.base_url))
        page.wait_for_selector("text=The gallery is empty")
        page.close()


def test_a_server_that_is_gone_is_said(browser: Any, tmp_path: Path) -> None:
    save_gradients(tmp_path / "c")
    with Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(tmp_path / "c", gallery)
    page = browser.new_page()
    with running(create_app(Settings(gallery=tmp_path / "g"))) as http:
        page.goto(f"{http.base_url}?q=id:1")
        hits(page)
    page.focus("#grid .face")
    page.keyboard.press("m")
    page.wait_for_selector("text=the server cannot be reached")
    page.close()


def test_a_dropped_file_that_is_no_image_is_said(page: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    page.goto("/")
    choose(page, tmp_path / "notes.txt")
    page.wait_for_selector("text=notes.txt is not an image")


def test_a_server_with_a_token_asks_for_it(browser: Any, serve: Serve) -> None:
    http = serve(token="open sesame")
    page = browser.new_page()
    page.goto(str(http.base_url))
    page.fill("dialog input", "guess")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=this is not the server's token")
    page.fill("dialog input", "open sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("#start-grid img")
    page.close()


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """A gallery with one picture three times, one of them mirrored, and another picture."""
    folder = tmp_path / "copies"
    folder.mkdir()
    original = picture(96, 72, seed=1)
    original.save(folder / "original.png")
    original.resize((48, 36)).save(folder / "small.png")
    original.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.png")
    picture(96, 72, seed=2).save(folder / "other.png")
    with Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(folder, gallery)
    return tmp_path / "g"


def test_duplicates_are_kept_or_dismissed(browser: Any, copies: Path) -> None:
    with running(create_app(Settings(gallery=copies))) as http:
        page = browser.new_page(base_url=str(http.base_url))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/?view=duplicates")
        page.wait_for_selector(".pair-group")
        assert page.inner_text("#duplicates h2").startswith("1 groups of duplicates; 2 images")
        assert violations(page) == []
        page.click("text=keep all: no duplicates")
        page.click("text=undo")
        page.click("[aria-label='Keep original.png, take the others out']")
        page.wait_for_selector("text=original.png kept; 2 taken out.")
        page.goto("/?view=duplicates")
        page.wait_for_selector("text=No duplicates found")
        page.close()
    with Gallery.open(copies) as gallery:
        assert {record.name for record, _ in gallery.catalog.scan()} == {
            "original.png",
            "other.png",
        }
    assert (copies.parent / "copies" / "small.png").exists()
