"""`cbir duplicates` as it is used."""

import csv
import json
from pathlib import Path

import pytest
from duplicates.copies import PARTS, photograph
from PIL import Image
from terminal import cbir

from cbir import Gallery, index_images
from cbir.duplicates import find_known


@pytest.fixture
def shop(shelf: Path, stocked: Gallery) -> Path:
    """A gallery with a copy of coffee, half its size, and one of the same bytes."""
    photograph("coffee").resize((192, 144)).save(shelf / "half <b>.jpg")
    (shelf / "twin.png").write_bytes((shelf / "rocket.png").read_bytes())
    index_images(shelf, stocked)
    return stocked.path


@pytest.fixture
def incoming(photographs: Path, tmp_path: Path) -> Path:
    """New files: the same bytes as one, a smaller one, a part of one, another photograph."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    (folder / "exact.png").write_bytes((photographs / "rocket.png").read_bytes())
    photograph("coffee").resize((200, 150)).save(folder / "near.jpg")
    PARTS["cropped"](photograph("chelsea")).save(folder / "part.jpg", quality=90)
    photograph("coffee").transpose(Image.Transpose.ROTATE_90).crop((200, 100, 380, 280)).save(
        folder / "other.jpg"
    )
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return folder


def test_groups_are_shown_with_what_to_keep(shop: Path) -> None:
    run = cbir("duplicates", "-g", shop)
    assert run.code == 0, run.err
    assert "2 groups   2 of 6 images could be removed" in run.out
    lines = run.out.splitlines()
    assert any("keep" in line and "coffee.png" in line for line in lines)
    assert any("copy" in line and "half <b>.jpg" in line and "near" in line for line in lines)
    assert any("twin.png" in line and "exact" in line for line in lines)
    assert "--verify" in run.out


def test_json_csv_and_json_files_agree(shop: Path, tmp_path: Path) -> None:
    said = json.loads(cbir("duplicates", "-g", shop, "--json", "--out", tmp_path / "d.csv").out)
    assert said["images"] == 6
    assert said["redundant"] == 2
    assert said["written"] == [str(tmp_path / "d.csv")]
    with (tmp_path / "d.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    uris = [image["uri"] for g in said["groups"] for image in (g["keeper"], *g["others"])]
    assert [row["uri"] for row in rows] == uris
    assert [row["role"] for row in rows] == ["keep", "copy"] * 2
    assert {row["kind"] for row in rows if row["role"] == "copy"} == {"exact", "near"}
    assert cbir("duplicates", "-g", shop, "--out", tmp_path / "d.json").code == 0
    written = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert written["groups"] == said["groups"]
    evidence = {one["kind"]: one for group in said["groups"] for one in group["evidence"]}
    assert evidence["near"]["bits"] <= 28
    assert 0 < evidence["near"]["similarity"] <= 1


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_a_page_shows_the_groups(shop: Path, tmp_path: Path, option: str) -> None:
    page = tmp_path / "page.html"
    run = cbir("duplicates", "-g", shop, option, page)
    assert run.code == 0, run.err
    text = page.read_text(encoding="utf-8")
    assert text.count("<section") == 2
    assert text.count("data:image/jpeg;base64,") == 4
    assert "keep this of 2" in text
    assert "half &lt;b&gt;.jpg" in text
    assert "half <b>" not in text


def test_a_page_without_any(stocked: Gallery, tmp_path: Path) -> None:
    run = cbir("duplicates", "-g", stocked.path, "--html", tmp_path / "page.html")
    assert run.code == 0
    assert "0 groups" in run.out
    assert "no duplicates" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_script_is_written_and_nothing_removed(shop: Path, shelf: Path, tmp_path: Path) -> None:
    before = sorted(shelf.iterdir())
    run = cbir("duplicates", "-g", shop, "--script", tmp_path / "remove.sh")
    assert run.code == 0, run.err
    assert sorted(shelf.iterdir()) == before
    script = (tmp_path / "remove.sh").read_text()
    assert (script.count("\nremove_same '"), script.count("\nremove_copy '")) == (1, 1)


def test_what_is_dismissed_stays_dismissed(shop: Path, shelf: Path) -> None:
    run = cbir("duplicates", "-g", shop, "--dismiss", shelf / "rocket.png", shelf / "twin.png")
    assert (run.code, run.out) == (0, "dismissed: 1 pair   1 dismissed in all\n")
    for _ in range(2):
        assert json.loads(cbir("duplicates", "-g", shop, "--json").out)["redundant"] == 1
    again = cbir("duplicates", "-g", shop, "--dismiss", "--json", *("id:1", "id:2", "id:3"))
    assert json.loads(again.out) == {"dismissed": 3, "pairs": 4}
    run = cbir("duplicates", "-g", shop, "--undismiss", shelf / "twin.png", shelf / "rocket.png")
    assert "forgotten: 1 pair   3 dismissed in all" in run.out
    assert json.loads(cbir("duplicates", "-g", shop, "--json").out)["redundant"] == 2
    assert "0 dismissed in all" in cbir("duplicates", "-g", shop, "--undismiss").out


def test_new_files_are_held_against_a_gallery(
    incoming: Path, stocked: Gallery, tmp_path: Path
) -> None:
    run = cbir(
        *("duplicates", incoming, "--against", stocked.path, "--out", tmp_path / "known.csv"),
        *("--html", tmp_path / "known.html", "--script", tmp_path / "remove.sh"),
    )
    assert run.code == 3
    assert "2 of 4 images are in the gallery already" in run.out
    assert "broken.jpg" in run.out
    with (tmp_path / "known.csv").open(encoding="utf-8", newline="") as file:
        rows = {Path(row["uri"]).name: row["kind"] for row in csv.DictReader(file)}
    assert rows == {"exact.png": "exact", "near.jpg": "near"}
    assert (tmp_path / "known.html").read_text(encoding="utf-8").count("<section") == 2
    script = (tmp_path / "remove.sh").read_text()
    assert (script.count("\nremove_same '"), script.count("\nremove_copy '")) == (1, 1)
    assert stocked.count() == 4


def test_new_files_are_verified(incoming: Path, stocked: Gallery) -> None:
    run = cbir("duplicates", incoming, "--against", stocked.path, "--verify", "--json")
    said = json.loads(run.out)
    kinds = {Path(one["uri"]).name: one["kind"] for one in said["known"]}
    assert kinds == {"exact.png": "exact", "near.jpg": "near", "part.jpg": "verified"}
    assert [Path(uri).name for uri in said["new"]] == ["other.jpg"]
    assert [Path(f["uri"]).name for f in said["failed"]] == ["broken.jpg"]


def test_new_files_come_in_chunks(incoming: Path, stocked: Gallery) -> None:
    whole = find_known(incoming, stocked)
    steps: list[int] = []
    parts = find_known(
        incoming, stocked, files_at_once=2, progress=lambda _, done, __: steps.append(done)
    )
    assert (parts.known, parts.new, parts.failed) == (whole.known, whole.new, whole.failed)
    assert steps[-3:] == [2, 4, 5]


def test_an_empty_gallery_knows_nothing(incoming: Path, gallery: Gallery) -> None:
    found = find_known(incoming, gallery, verify=True)
    assert (found.known, len(found.new), len(found.failed)) == ((), 4, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("folder",), "go together"),
        (("--against", "somewhere"), "go together"),
        (("--dismiss",), "name two or more images"),
        (("--dismiss", "id:1"), "name two or more images"),
        (("--dismiss", "id:1", "id:99"), "no image 99"),
        (("--dismiss", "--undismiss", "id:1", "id:2"), "opposites"),
        (("--dismiss", "id:1", "id:2", "--verify"), "leave the others out"),
        (("--out", "groups.xml"), "name it .csv, .json or .html"),
        (("--out", "no/such/folder.csv"), "cannot be written"),
        (("--script", "no/such/folder.sh"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    stocked: Gallery, arguments: tuple[str, ...], message: str
) -> None:
    run = cbir("duplicates", "-g", stocked.path, *arguments)
    assert run.code == (1 if message in ("no image 99", "cannot be written") else 2)
    assert message in run.err
    assert run.err.startswith("error: ")
    assert run.err.count("\n") == 1


def test_pictures_are_prepared_by_indexing(photographs: Path, tmp_path: Path) -> None:
    where = ("-g", tmp_path / "g")
    run = cbir("index", photographs, *where, "--backbone", "tiny_image", "--descriptors", "phash")
    assert run.code == 0, run.err
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.catalog.without_descriptors("phash") == []


def test_an_interrupted_run_goes_on(
    shop: Path, stocked: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cbir.duplicates.neighbour_pairs.all_nearest", interrupt)
        run = cbir("duplicates", "-g", shop)
    assert run.code == 130
    assert "run it again to go on" in run.err
    described = stocked.catalog.descriptors(range(1, 7), "phash")
    assert len(described) == 5  # of two with the same bytes, one
    assert "2 groups" in cbir("duplicates", "-g", shop).out
