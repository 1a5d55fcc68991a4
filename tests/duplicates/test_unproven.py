"""Documents in a gallery: no different ones are grouped, and what cannot be told is only shown."""

import json
from pathlib import Path

import pytest
from duplicates.copies import photograph
from PIL import Image
from terminal import cbir

from cbir import Gallery, index_images
from cbir.duplicates import find_duplicates, find_known
from scripts.examples.lookalikes import lookalikes

KINDS = {"receipt": 5, "pack": 6, "speed sign": 3, "table": 5, "ticket": 4}
"""Kinds, and a style of each that is small."""


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """Three different pictures of each kind."""
    folder = tmp_path / "papers"
    folder.mkdir()
    for kind, style in KINDS.items():
        for number, image in enumerate(lookalikes(kind, style, 3)):
            image.save(folder / f"{kind.replace(' ', '-')}-{number}.jpg", quality=80)
    return folder


@pytest.mark.parametrize("verify", [False, True])
def test_different_papers_are_in_no_group(papers: Path, gallery: Gallery, verify: bool) -> None:
    index_images(papers, gallery)
    found = find_duplicates(gallery, verify=verify)
    assert (found.groups, found.redundant, found.bytes_saved) == ((), 0, 0)


def test_new_papers_are_new(papers: Path, gallery: Gallery, tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for file in papers.glob("*-2.jpg"):
        file.rename(incoming / file.name)
    copied = Image.open(papers / "ticket-0.jpg")
    copied.save(incoming / "saved-again.jpg", quality=60)
    index_images(papers, gallery)
    for verify in (False, True):
        found = find_known(incoming, gallery, verify=verify)
        assert [Path(file.uri).name for file in found.known] == ["saved-again.jpg"]
        assert len(found.new) == len(KINDS)


@pytest.fixture
def unproven(tmp_path: Path, gallery: Gallery) -> Path:
    """A gallery with a form, and the same too small to be read."""
    folder = tmp_path / "forms"
    folder.mkdir()
    (form,) = lookalikes("form", 2, 1)
    form.save(folder / "form.png")
    form.resize((form.width // 7, form.height // 7)).save(folder / "small.png")
    index_images(folder, gallery)
    return folder


def test_what_cannot_be_told_is_shown_and_not_counted(
    unproven: Path, gallery: Gallery, tmp_path: Path
) -> None:
    page, script = tmp_path / "page.html", tmp_path / "remove.sh"
    run = cbir("duplicates", "-g", gallery.path, "--html", page, "--script", script)
    assert run.code == 0
    assert "alike, not proven" in run.out
    assert "too small to show" in run.out
    assert "0 of 2 images could be removed (0 bytes)" in run.out
    assert "alike, not proven" in page.read_text(encoding="utf-8")
    assert "small.png" not in script.read_text()
    said = json.loads(cbir("duplicates", "-g", gallery.path, "--json").out)
    assert (said["groups"], said["redundant"], said["bytes_saved"]) == ([], 0, 0)
    (pair,) = said["alike"]
    assert {Path(image["uri"]).name for image in pair["images"]} == {"form.png", "small.png"}
    assert pair["reason"] == "too small to show their print"


def test_a_new_file_that_cannot_be_told_is_new(
    unproven: Path, gallery: Gallery, tmp_path: Path
) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    Image.open(unproven / "form.png").resize((120, 170)).save(incoming / "tiny.png")
    script = tmp_path / "remove.sh"
    run = cbir("duplicates", incoming, "--against", gallery.path, "--script", script)
    assert "0 of 1 images are in the gallery already" in run.out
    assert "alike, not proven" in run.out
    assert "tiny.png" not in script.read_text()
    said = json.loads(cbir("duplicates", incoming, "--against", gallery.path, "--json").out)
    assert [Path(uri).name for uri in said["new"]] == ["tiny.png"]
    assert [Path(file["uri"]).name for file in said["alike"]] == ["tiny.png"]


def test_blank_pages_are_copies_of_none(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "backs"
    folder.mkdir()
    for number in range(4):
        Image.new("L", (400, 560), 250 - number % 2).save(folder / f"{number}.png")
        Image.new("L", (400, 560), 250).save(folder / f"{number}.jpg", quality=70 + number)
    index_images(folder, gallery)
    found = find_duplicates(gallery, verify=True)
    assert all(group.kinds == ("exact",) for group in found.groups)
    assert found.redundant == 2  # of four PNG files, two have the bytes of another


def test_without_its_file_nothing_is_proven(unproven: Path, gallery: Gallery) -> None:
    form = Image.open(unproven / "form.png")
    form.save(unproven / "again.jpg", quality=90)
    index_images(unproven, gallery)
    assert find_duplicates(gallery).redundant == 1
    (unproven / "again.jpg").unlink()
    found = find_duplicates(gallery)
    assert found.redundant == 0
    assert "a file cannot be read again" in {pair.reason for pair in found.alike}
    assert [Path(failure.uri).name for failure in found.failed] == ["again.jpg"]


def test_what_holds_more_than_a_picture_is_never_given_up(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    coffee, rocket = photograph("coffee"), photograph("rocket")
    for name in ("pages.tif", "moving.gif", "moving.webp", "moving.png"):
        coffee.save(folder / name, save_all=True, append_images=[rocket])
    coffee.resize((576, 432)).save(folder / "picture.png")
    index_images(folder, gallery)
    found = find_duplicates(gallery, verify=True)
    assert found.redundant == 0
    assert {pair.reason for pair in found.alike} >= {
        "one holds more than a picture: several pages",
        "one holds more than a picture: an animation",
    }
