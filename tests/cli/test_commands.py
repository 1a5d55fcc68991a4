"""The command line as its users meet it: what it prints, writes and returns."""

import json
import re
from pathlib import Path

import pytest
from conftest import save_gradients
from factories import encode, picture
from terminal import Run, cbir

from cbir import Gallery


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    save_gradients(tmp_path / "colours")
    return tmp_path / "colours"


@pytest.fixture
def shop(colours: Path, tmp_path: Path) -> Path:
    """A gallery of the four colours."""
    assert cbir("index", colours, "-g", tmp_path / "shop", "--backbone", "tiny_image").code == 0
    return tmp_path / "shop"


def test_index_says_what_it_did_and_what_comes_next(colours: Path, tmp_path: Path) -> None:
    run = cbir("index", colours, "--gallery", tmp_path / "g", "--backbone", "tiny_image")
    assert run.code == 0
    lines = run.out.splitlines()
    assert re.match(r"added 4   unchanged 0   in [\d.]+ s$", lines[0])
    assert lines[1] == f"gallery {tmp_path / 'g'}: 4 images, tiny_image · 3072-d · exact index"
    assert lines[2] == f"next: cbir search PHOTO --gallery {tmp_path / 'g'}"
    again = cbir("index", colours, "--gallery", tmp_path / "g")
    assert again.out.startswith("added 0   unchanged 4")


def test_index_lists_failures_and_returns_3(colours: Path, shop: Path) -> None:
    (colours / "broken.jpg").write_bytes(encode(picture(), "JPEG")[:200])
    (colours / "notes.jpg").write_text("text")
    for _ in range(2):
        run = cbir("index", colours, "-g", shop)
        assert run.code == 3
        assert f"failed  {colours / 'broken.jpg'}: " in run.out
        assert f"failed 2 (cbir info --failed --gallery {shop} lists them)" in run.out
    listed = cbir("info", "--failed", "-g", shop)
    assert f"{colours / 'notes.jpg'}: not an image" in listed.out


def test_index_reports_in_json(colours: Path, shop: Path) -> None:
    (colours / "notes.jpg").write_text("text")
    run = cbir("index", colours, "-g", shop, "--json")
    assert run.code == 3
    report = json.loads(run.out)
    assert report["unchanged"] == 4
    assert report["images"] == 4
    assert report["failed"][0]["uri"] == str(colours / "notes.jpg")


def test_index_takes_a_manifest(colours: Path, tmp_path: Path) -> None:
    manifest = colours / "feed.csv"
    manifest.write_text("img,label\nred.png,warm\nblue.png,cold\n")
    args = "-g", tmp_path / "g", "--backbone", "tiny_image"
    wrong = cbir("index", manifest, *args)
    assert wrong.code == 1
    assert wrong.err == (
        f"error: {manifest}: no column 'path' (columns: img, label); name one: --image-column img\n"
    )
    assert cbir("index", manifest, *args, "--image-column", "img").code == 0
    run = cbir("search", colours / "red.png", "-g", tmp_path / "g", "--json")
    assert json.loads(run.out)["hits"][0]["metadata"] == {"label": "warm"}


def test_index_refuses_options_that_are_not_the_gallery_s(colours: Path, shop: Path) -> None:
    run = cbir("index", colours, "-g", shop, "--backbone", "efficientnet_lite0")
    assert run.code == 1
    assert "backbone: tiny_image against efficientnet_lite0" in run.err
    assert cbir("index", colours, "-g", shop, "--backbone", "tiny_image").code == 0
    other = cbir("index", colours, "-g", shop, "--index", "hnsw")
    assert other.code == 1
    assert "'cbir rebuild --index hnsw" in other.err


def test_index_prepares_reranking(colours: Path, shop: Path) -> None:
    run = cbir("index", colours, "-g", shop, "--descriptors", "grey")
    assert run.code == 0
    with Gallery.open(shop) as gallery:
        assert gallery.catalog.without_descriptors("grey") == []
        assert len(gallery.catalog.without_descriptors("sift")) == 4


def test_search_prints_a_table(colours: Path, shop: Path) -> None:
    run = cbir("search", colours / "red.png", "-k", "2", "-g", shop)
    assert run.code == 0
    lines = run.out.splitlines()
    assert lines[0].split() == ["#", "similarity", "id", "image"]
    assert lines[1].split() == ["1", "1.000", "━━━━━━━━━━", "4", "red.png"]
    assert lines[2].split()[0] == "2"
    assert lines[2].endswith("pink.png")
    assert re.match(r"embedded \d+ ms · searched 4 in [\d.]+ ms$", lines[3])


def test_search_prints_json(colours: Path, shop: Path) -> None:
    run = cbir("search", colours / "red.png", "-k", "2", "-g", shop, "--json")
    answer = json.loads(run.out)
    assert set(answer) == {"query", "matched", "hits", "notes", "timings_ms"}
    assert answer["query"] == str(colours / "red.png")
    parts = {"rank", "id", "key", "uri", "similarity", "confidence", "metadata"}
    assert set(answer["hits"][0]) == parts
    assert [hit["uri"] for hit in answer["hits"]] == [
        str(colours / "red.png"),
        str(colours / "pink.png"),
    ]


def test_search_reads_standard_input_and_ids(colours: Path, shop: Path) -> None:
    data = (colours / "red.png").read_bytes()
    piped = json.loads(cbir("search", "-", "-g", shop, "--json", stdin=data).out)
    assert (piped["query"], piped["hits"][0]["id"]) == ("-", 4)
    by_id = json.loads(cbir("search", "id:4", "-g", shop, "--json").out)
    assert [hit["id"] for hit in by_id["hits"]] != []
    assert 4 not in [hit["id"] for hit in by_id["hits"]]


def test_search_writes_a_contact_sheet(colours: Path, shop: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    run = cbir("search", colours / "red.png", "-g", shop, "--html", sheet)
    assert run.out.splitlines()[-1] == f"contact sheet: {sheet}"
    assert sheet.read_text().count("<img") == 5


@pytest.mark.parametrize(
    ("image", "code", "message"),
    [
        ("nowhere.jpg", 1, "error: nowhere.jpg: cannot be read: No such file or directory"),
        ("id:x", 2, "error: 'id:x' is no image id; give id: and a number, as id:12"),
        ("id:99", 1, "error: no image 99 in"),
    ],
)
def test_search_errors_are_one_line(shop: Path, image: str, code: int, message: str) -> None:
    run = cbir("search", image, "-g", shop)
    assert run.code == code
    assert run.err.startswith(message)
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search",), "Missing argument 'IMAGE...'; 'cbir search --help' shows its usage"),
        (("search", "id:1", "-k", "0"), "Invalid value for '-k'"),
        (("search", "id:1", "--colour", "red"), "No such option: --colour"),
        (("serch", "id:1"), "No such command 'serch'"),
        (("index", "folder", "--force"), "--force only works with --prune"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    run = cbir(*arguments)
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert run.err.startswith("error: ")
    assert message in run.err


def test_an_interruption_has_a_code_of_its_own(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cbir.integrity.verify_gallery", interrupted)
    run = cbir("verify", "-g", shop)
    assert run.code == 130
    assert "Traceback" not in run.err


def test_info_says_what_was_indexed_prepared_and_decided(shop: Path, colours: Path) -> None:
    cbir("index", colours, "-g", shop, "--descriptors", "phash")
    cbir("duplicates", "--dismiss", "id:1", "id:2", "-g", shop)
    lines = cbir("info", "-g", shop).out.splitlines()
    assert {"prepared  phash 4", "dismissed 1 pair", f"source    {colours}"} <= set(lines)
    said = json.loads(cbir("info", "-g", shop, "--json").out)
    assert said["sources"] == {str(colours): None}
    assert (said["descriptors"], said["dismissed"]) == ({"phash": 4}, 1)


def test_search_without_a_gallery_says_how_to_make_one(tmp_path: Path) -> None:
    run = cbir("search", "x.jpg", "-g", tmp_path / "none")
    assert run.code == 1
    assert f"no gallery at {tmp_path / 'none'}; 'cbir index FOLDER" in run.err


@pytest.mark.parametrize(
    "arguments", [["search"], ["search", "x", "-k", "0"], ["index", "x", "--index", "tree"], ["no"]]
)
def test_wrong_usage_returns_2(arguments: list[str]) -> None:
    assert cbir(*arguments).code == 2


def test_info_describes_the_gallery(shop: Path) -> None:
    assert f"gallery {shop}: 4 images, tiny_image" in cbir("info", "-g", shop).out
    data = json.loads(cbir("info", "-g", shop, "--json").out)
    assert (data["images"], data["backbone"], data["dim"]) == (4, "tiny_image", 3072)
    assert data["failed"] == []
    assert cbir("info", "--failed", "-g", shop).out == "no image failed\n"


def test_models_lists_every_backbone() -> None:
    rows = {row["name"]: row for row in json.loads(cbir("models", "--json").out)}
    assert rows["efficientnet_lite0"]["present"] is True
    assert rows["resnet50"]["dim"] == 2048
    assert rows["vgg16"]["input"] == 224
    table = cbir("models").out
    assert re.search(r"^resnet18 +512 +224 px +torchvision IMAGENET1K_V1", table, re.MULTILINE)
    present = {row["name"] for row in json.loads(cbir("models", "--present", "--json").out)}
    assert present == {name for name, row in rows.items() if row["present"]}


def test_remove_takes_ids_and_files(colours: Path, shop: Path) -> None:
    run = cbir("remove", "id:1", colours / "red.png", "-g", shop)
    assert run.out.startswith("removed 2\n")
    assert (colours / "red.png").exists()
    with Gallery.open(shop) as gallery:
        assert gallery.count() == 2
    missing = cbir("remove", "id:1", "-g", shop)
    assert missing.code == 1
    assert "no image 1" in missing.err


def test_rebuild_makes_the_index_anew(colours: Path, shop: Path) -> None:
    for file in (shop / "vectors").iterdir():
        file.unlink()
    run = cbir("rebuild", "-g", shop, "--index", "hnsw")
    assert run.code == 0
    assert "hnsw index" in run.out
    assert json.loads(cbir("search", "id:4", "-g", shop, "--json").out)["hits"]


def test_verify_returns_1_for_a_damaged_gallery_only(colours: Path, shop: Path) -> None:
    assert cbir("verify", "-g", shop).out == f"gallery {shop}: 4 images, sound\n"
    (colours / "red.png").unlink()
    gone = cbir("verify", "-g", shop)
    assert gone.code == 0
    assert f"file is gone: {colours / 'red.png'}" in gone.out
    import sqlite3

    with sqlite3.connect(shop / "catalog.sqlite") as connection:
        connection.execute("DELETE FROM embeddings WHERE image_id = 1")
    connection.close()
    damaged = cbir("verify", "-g", shop, "--json")
    assert damaged.code == 1
    assert json.loads(damaged.out)["ok"] is False


def test_names_cannot_command_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "a\x1b[31m\nb.png").write_bytes(encode(picture()))
    assert cbir("index", folder, "-g", tmp_path / "g", "--backbone", "tiny_image").code == 0
    run = cbir("search", "-", "-g", tmp_path / "g", stdin=encode(picture()))
    assert "\x1b" not in run.out
    assert r"a\x1b[31m\nb.png" in run.out


def test_progress_is_logged_where_there_is_no_terminal(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbir.cli.console.LOG_EVERY_S", 0.0)
    run: Run = cbir("index", colours, "-g", tmp_path / "g", "--backbone", "tiny_image")
    assert "indexing 4 / 4" in run.err
    assert "\x1b" not in run.err


def test_version() -> None:
    assert re.match(r"cbir \d+\.\d+\.\d+\n$", cbir("--version").out)
