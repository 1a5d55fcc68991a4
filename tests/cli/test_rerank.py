"""Reranking on the command line: its columns, its fields, its figures and its errors."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from skimage import data
from terminal import cbir

from cbir import Gallery


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """A part of a photograph, turned."""
    photograph = Image.fromarray(data.coffee()).resize((384, 288))
    photograph.crop((60, 20, 340, 270)).rotate(90, expand=True).save(tmp_path / "query.png")
    return tmp_path / "query.png"


@pytest.fixture
def shop(tmp_path: Path, query: Path) -> Path:
    """The photograph, its colours without its edges, and another photograph, with labels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(data.coffee()).resize((384, 288)).save(folder / "coffee.png")
    Image.fromarray(data.chelsea()).resize((384, 288)).save(folder / "chelsea.png")
    part = Image.open(query)
    part.filter(ImageFilter.GaussianBlur(12)).save(folder / "decoy.png")
    part.resize((200, 224)).save(folder / "part.png")
    labels = "path,label\ncoffee.png,cup\npart.png,cup\ndecoy.png,none\nchelsea.png,cat\n"
    (folder / "labels.csv").write_text(labels)
    feed, gallery = folder / "labels.csv", tmp_path / "shop"
    assert cbir("index", feed, "-g", gallery, "--backbone", "tiny_image").code == 0
    (folder / "part.png").rename(folder / "kept.png")
    (folder / "kept.png").rename(folder / "part.png")
    return gallery


def test_the_table_shows_inliers(shop: Path, query: Path) -> None:
    run = cbir("search", query, "-g", shop, "--rerank", "sift", "--depth", "3")
    assert run.code == 0, run.err
    lines = run.out.splitlines()
    assert lines[0].split() == ["#", "similarity", "inliers", "id", "image"]
    rows = {line.split()[-1]: line.split() for line in lines[1:5]}
    assert int(rows["part.png"][-3]) >= 20
    assert int(rows["coffee.png"][-3]) >= 20
    assert rows["decoy.png"][-3] == "–"
    assert re.match(r"embedded \d+ ms · searched 4 in [\d.]+ ms · verified 3 in \d+ ms$", lines[-1])


def test_the_table_shows_the_score_of_what_counts_no_inliers(shop: Path, query: Path) -> None:
    lines = cbir("search", query, "-g", shop, "--rerank", "ssim").out.splitlines()
    assert lines[0].split() == ["#", "similarity", "score", "id", "image"]
    assert re.search(r" · reranked 4 in \d+ ms$", lines[-1])


def test_json_carries_the_evidence_only_when_reranked(shop: Path, query: Path) -> None:
    plain = json.loads(cbir("search", query, "-g", shop, "--json").out)
    assert "rerank" not in plain["hits"][0]
    assert "rerank" not in plain["timings_ms"]
    run = cbir("search", query, "-g", shop, "--rerank", "orb", "--json", "--depth", "3")
    answer = json.loads(run.out)
    assert set(answer["hits"][0]["rerank"]) == {"method", "score", "inliers"}
    assert answer["hits"][0]["rerank"]["method"] == "orb"
    assert answer["hits"][0]["rerank"]["inliers"] >= 20
    assert "rerank" not in answer["hits"][3]
    assert answer["timings_ms"]["rerank"] > 0


def test_what_could_not_be_verified_is_said(shop: Path, query: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "chelsea.png").unlink()
    sheet = tmp_path / "sheet.html"
    run = cbir("search", query, "-g", shop, "--rerank", "sift", "--html", sheet)
    assert "chelsea.png was not reranked: cannot be read: No such file or directory" in run.out
    assert "not verified" in sheet.read_text()
    hits = json.loads(cbir("search", query, "-g", shop, "--rerank", "sift", "--json").out)["hits"]
    notes = {Path(hit["uri"]).name: hit["rerank"].get("note") for hit in hits}
    assert notes["chelsea.png"] == "cannot be read: No such file or directory"
    assert notes["coffee.png"] is None


def test_the_contact_sheet_shows_inliers(shop: Path, query: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    cbir("search", query, "-g", shop, "--rerank", "sift", "--html", sheet)
    assert len(re.findall(r"\d+ inliers", sheet.read_text())) == 4


@pytest.mark.parametrize("command", [["search", "id:1"], ["evaluate", "--label", "label"]])
def test_an_unknown_method_is_an_error_of_one_line(shop: Path, command: list[str]) -> None:
    run = cbir(*command, "-g", shop, "--rerank", "shift")
    assert run.code == 1
    assert run.err.startswith("error: no reranker 'shift'; did you mean 'sift'? there are ")
    assert run.err.count("\n") == 1
    assert cbir("search", "id:1", "-g", shop, "--depth", "0").code == 2


def test_evaluate_judges_the_reranked_head_and_all_that_follows(shop: Path) -> None:
    arguments = "evaluate", "--label", "label", "-g", shop, "-k", "1", "--json"
    plain = json.loads(cbir(*arguments).out)["metrics"]
    reranked = json.loads(cbir(*arguments, "--rerank", "sift", "--depth", "2").out)["metrics"]
    assert reranked["mAP"]["value"] > plain["mAP"]["value"]
    with Gallery.open(shop) as gallery:
        assert gallery.count() == 4
    # Judged to the end: the only right answer is found however deep it lies.
    shallow = json.loads(cbir(*arguments, "--rerank", "sift", "--depth", "1").out)["metrics"]
    assert shallow == plain
