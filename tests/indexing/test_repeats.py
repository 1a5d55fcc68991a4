"""A source that lists one image twice: no failure if both entries say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from factories import encode, picture
from terminal import Run, cbir

from cbir import Gallery, index_images, plan_images
from cbir.sources import RepeatedImage, SourceImage, distinct, open_source
from cbir.types import FailedImage


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for number in range(3):
        picture(seed=number).save(tmp_path / f"{number}.png")
    return tmp_path


def write(shop: Path, *rows: str) -> Path:
    manifest = shop / "feed.csv"
    manifest.write_text("\n".join(["sku,path,price", *rows]) + "\n")
    return manifest


def index(shop: Path, *options: str) -> Run:
    args = shop / "feed.csv", "-g", shop / "g", "--backbone", "tiny_image", *options
    return cbir("index", *args)


class Listed:
    """A source from outside that lists images under keys of its own."""

    uri = root = "/listed"

    def __init__(self, entries: Sequence[SourceImage | FailedImage]) -> None:
        self._entries = entries

    def count(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        return iter(self._entries)


def test_equal_rows_are_counted_and_no_failure(shop: Path) -> None:
    write(shop, "A,0.png,1", "B,1.png,2", "A,0.png,1", "A,./0.png,1")
    planned = index(shop, "--dry-run")
    assert planned.code == 0
    assert "2 rows repeat an image" in planned.out
    assert json.loads(index(shop, "--dry-run", "--json").out)["repeated"] == 2
    run = index(shop)
    assert run.code == 0
    assert "2 rows repeat an image" in run.out
    again = index(shop, "--json", "--prune")
    report = json.loads(again.out)
    assert again.code == 0
    assert (report["unchanged"], report["repeated"], report["failed"]) == (2, 2, [])


@pytest.mark.parametrize("options", [(), ("--prune",), ("--dry-run",)])
def test_other_metadata_is_a_failure_that_says_what_was_taken(
    shop: Path, options: tuple[str, ...]
) -> None:
    write(shop, "A,0.png,1", "B,1.png,2", "A,0.png,9")
    run = index(shop, "--json", *options)
    assert run.code == 3
    report = json.loads(run.out)
    (failure,) = report["fail" if "--dry-run" in options else "failed"]
    assert failure["uri"] == f"{shop}/feed.csv:4"
    assert failure["reason"] == (
        "the same path stands in line 2 with other metadata; line 2 was taken, "
        "--key COLUMN (key=...) keeps both"
    )
    if "--dry-run" not in options:
        with Gallery.open(shop / "g") as gallery:
            assert gallery.find(str(shop / "0.png")).metadata == {"sku": "A", "price": 1}


def test_the_advice_works(shop: Path) -> None:
    write(shop, "A,0.png,1", "C,0.png,9")
    assert index(shop).code == 3
    run = index(shop, "--key", "sku", "--prune", "--json")
    assert run.code == 0
    with Gallery.open(shop / "g") as gallery:
        assert {r.key: r.metadata["price"] for r, _ in gallery.catalog.scan()} == {"A": 1, "C": 9}


def test_one_key_for_two_images_takes_the_first(shop: Path) -> None:
    write(shop, "A,0.png,1", "A,1.png,1", "A,0.png,1")
    run = index(shop, "--key", "sku", "--json")
    assert run.code == 3
    report = json.loads(run.out)
    assert (report["added"], report["repeated"]) == (1, 1)
    (failure,) = report["failed"]
    assert failure["reason"] == "the sku 'A' stands in line 2, which was taken"


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("far", [0, 300])
def test_a_source_from_outside_that_lists_a_key_twice_ends_no_run(
    shop: Path, gallery: Gallery, prune: bool, far: int
) -> None:
    for number in range(far):
        (shop / f"far-{number}.png").write_bytes(encode(picture(8, 8, seed=number)))
    images = [SourceImage(str(shop / f"{n}.png"), f"{n}.png", key="A") for n in (0, 0, 1)]
    between = [SourceImage(str(shop / f"far-{n}.png"), f"far-{n}.png") for n in range(far)]
    gone = FailedImage("/listed/x", "no such file", "X")
    source = Listed([images[0], *between, *images[1:], gone, gone])
    for _ in range(2):
        report = index_images(source, gallery, prune=prune)
        assert report.repeated == 1
        assert [failure.reason for failure in report.failed] == [
            "the key 'A' stands in 0.png, which was taken",
            "no such file",
            "no such file",
        ]
        assert gallery.find("A").name == "0.png"
        assert gallery.count() == far + 1
    assert plan_images(source, gallery).repeated == 1


def test_a_repeated_row_is_no_image_of_its_own(shop: Path) -> None:
    source = open_source(write(shop, "A,0.png,1", "A,0.png,1"))
    first, second = distinct(source)
    assert isinstance(first, SourceImage)
    assert second == RepeatedImage(f"{shop}/0.png")


def test_a_folder_is_not_searched_for_repeats(shop: Path) -> None:
    assert list(distinct(open_source(shop))) == list(open_source(shop))
