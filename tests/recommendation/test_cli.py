"""The README's shop: a feed is drawn, indexed and recommended from, all on the command line."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import cbir

ROOT = Path(__file__).parents[2]
PRODUCTS = 32


def draw_feed(folder: Path) -> None:
    command = [sys.executable, "-m", "scripts.examples.feed", str(folder), str(PRODUCTS)]
    subprocess.run(command, check=True, cwd=ROOT)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feed")
    draw_feed(folder)
    return folder / "feed.csv"


@pytest.fixture(scope="module")
def shop(feed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    gallery = tmp_path_factory.mktemp("shop") / "gallery"
    run = cbir("index", feed, "--gallery", gallery, "--backbone", "tiny_image")
    assert run.code == 0, run.err
    return gallery


def rows(feed: Path) -> dict[str, dict[str, str]]:
    with feed.open(encoding="utf-8") as file:
        return {Path(row["path"]).name: row for row in csv.DictReader(file)}


def test_the_feed_is_the_same_every_time(feed: Path, tmp_path: Path) -> None:
    draw_feed(tmp_path)
    assert (tmp_path / "feed.csv").read_bytes() == feed.read_bytes()
    for picture in sorted(feed.parent.glob("images/*/*.jpg")):
        assert (tmp_path / picture.relative_to(feed.parent)).read_bytes() == picture.read_bytes()


def test_one_item_and_its_rules(feed: Path, shop: Path, tmp_path: Path) -> None:
    known = rows(feed)
    run = cbir(
        *("recommend", "id:1", "-g", shop, "-k", "3", "--same", "category"),
        *("--different", "brand", "--json", "--html", tmp_path / "sheet.html"),
    )
    assert run.code == 0, run.err
    found = json.loads(run.out)
    item = known[Path(found["item"]["uri"]).name]
    assert found["recommendations"]
    for one in found["recommendations"]:
        assert one["metadata"]["category"] == item["category"]
        assert one["metadata"]["brand"] != item["brand"]
    assert "recommended for" in (tmp_path / "sheet.html").read_text(encoding="utf-8")


def test_the_table_shows_what_the_rules_speak_of(shop: Path) -> None:
    run = cbir("recommend", "id:2", "-g", shop, "-k", "4", "--group-by", "product")
    assert run.code == 0, run.err
    assert "similarity" in run.out
    assert "product" in run.out
    assert "4 for" in run.out


def test_all_items_into_each_kind_of_file(feed: Path, shop: Path, tmp_path: Path) -> None:
    counts = set()
    for ending in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"recs.{ending}"
        run = cbir("recommend", "--all", "-k", "5", "--out", out, "-g", shop, "--json")
        assert run.code == 0, run.err
        said = json.loads(run.out)
        assert said["items"] == len(rows(feed))
        assert out.stat().st_size > 0
        counts.add(said["recommendations"])
    assert len(counts) == 1
    with (tmp_path / "recs.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in csv.DictReader(file)) == counts.pop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no item; give either an ITEM"),
        (("id:1", "--all"), "ITEM id:1 exclude each other; give either an ITEM"),
        (("--all",), "go together"),
        (("id:1", "-k", "12", "--pool", "3"), "too small"),
        (("id:1", "--same", "colr"), "did you mean 'colour'"),
        (("id:99999",), "99999"),
    ],
)
def test_what_cannot_be_asked_is_said(shop: Path, arguments: tuple[str, ...], message: str) -> None:
    run = cbir("recommend", *arguments, "-g", shop)
    assert run.code == (1 if message in ("did you mean 'colour'", "99999") else 2)
    assert message in run.err
