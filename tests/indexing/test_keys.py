"""Images known by a column: where they lie may change."""

import json
import shutil
from pathlib import Path

import pytest
from factories import picture
from terminal import Run, cbir

from cbir import Gallery, index_images
from cbir.errors import SourceError
from cbir.sources import ManifestSource, open_source
from cbir.types import FailedImage


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A feed of four products, `A1` to `A4`, beside their pictures."""
    for number in range(4):
        picture(seed=number).save(tmp_path / f"{number}.png")
    rows = [f"A{number + 1},{number}.png,{number}" for number in range(4)]
    write(tmp_path, *rows)
    return tmp_path


def write(shop: Path, *rows: str) -> None:
    (shop / "feed.csv").write_text("\n".join(["sku,path,price", *rows]) + "\n")


def index(shop: Path, *options: str) -> Run:
    args = shop / "feed.csv", "-g", shop / "g", "--backbone", "tiny_image", *options
    return cbir("index", *args)


def held(shop: Path) -> dict[str, tuple[int, str]]:
    """Key → id and name."""
    with Gallery.open(shop / "g") as gallery:
        return {r.key: (r.id, r.name) for r, _ in gallery.catalog.scan()}


def counts(run: Run) -> dict[str, int]:
    report = json.loads(run.out)
    return {k: report[k] for k in ("added", "updated", "moved", "removed") if report[k]}


def test_an_image_is_known_by_its_column(shop: Path) -> None:
    assert index(shop, "--key", "sku").code == 0
    assert held(shop) == {f"A{n + 1}": (n + 1, f"{n}.png") for n in range(4)}
    found = json.loads(cbir("search", "id:1", "-g", shop / "g", "--json").out)["hits"]
    assert set(found[0]["metadata"]) == {"sku", "price"}


def test_a_file_that_moves_keeps_its_key(shop: Path) -> None:
    index(shop, "--key", "sku")
    (shop / "new").mkdir()
    shutil.move(shop / "2.png", shop / "new" / "z.png")
    write(shop, "A1,0.png,0", "A2,1.png,1", "A3,new/z.png,2", "A4,3.png,3")
    assert counts(index(shop, "--json")) == {"updated": 1}
    assert held(shop)["A3"] == (3, "new/z.png")
    assert counts(index(shop, "--json", "--prune")) == {}


def test_another_picture_under_the_key_is_a_new_version(shop: Path) -> None:
    index(shop, "--key", "sku")
    picture(seed=9).save(shop / "other.png")
    write(shop, "A1,other.png,0", "A2,1.png,1", "A3,2.png,2", "A4,3.png,3")
    assert counts(index(shop, "--json", "--prune")) == {"updated": 1}
    assert held(shop)["A1"] == (1, "other.png")


def test_two_keys_may_share_a_picture(shop: Path) -> None:
    write(shop, "A1,0.png,0", "B1,0.png,7")
    assert counts(index(shop, "--json", "--key", "sku")) == {"added": 2}
    assert counts(index(shop, "--json", "--prune")) == {}


def test_prune_goes_by_keys(shop: Path) -> None:
    index(shop, "--key", "sku")
    write(shop, "A1,0.png,0", "A2,gone.png,1", "A4,3.png,3")
    run = index(shop, "--json", "--prune")
    assert run.code == 3
    assert counts(run) == {"removed": 1}
    assert set(held(shop)) == {"A1", "A2", "A4"}
    assert json.loads(run.out)["failed"][0]["reason"] == "no such file (line 3)"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A1,1.png,1", "the sku 'A1' stands in line 2, which was taken"),
        (",1.png,1", "row has no 'sku', which --key names"),
        (" ,1.png,1", "row has no 'sku', which --key names"),
    ],
)
def test_rows_without_a_key_of_their_own_fail(shop: Path, row: str, reason: str) -> None:
    write(shop, "A1,0.png,0", row)
    run = index(shop, "--json", "--key", "sku")
    assert run.code == 3
    (failure,) = json.loads(run.out)["failed"]
    assert (failure["uri"], failure["reason"]) == (f"{shop}/feed.csv:3", reason)
    assert set(held(shop)) == {"A1"}


@pytest.mark.parametrize("value", ["[1]", "true"])
def test_what_is_no_key_is_said(tmp_path: Path, value: str) -> None:
    (tmp_path / "feed.jsonl").write_text(f'{{"path": "a.png", "sku": {value}}}\n')
    (failure,) = ManifestSource(tmp_path / "feed.jsonl", key="sku")
    assert isinstance(failure, FailedImage)
    assert failure.reason.startswith(f"row 'sku' is {json.loads(value)}, which is not a key")


def test_the_column_is_remembered(shop: Path) -> None:
    index(shop, "--key", "sku")
    assert counts(index(shop, "--json")) == {}
    assert counts(index(shop, "--json", "--key", "sku")) == {}
    refused = index(shop, "--key", "price")
    assert refused.code == 1
    assert refused.err.startswith(
        f"error: {shop}/feed.csv: the gallery knows its images by 'sku', not by 'price'. "
    )
    assert refused.err.count("\n") == 1
    assert set(held(shop)) == {"A1", "A2", "A3", "A4"}


@pytest.mark.parametrize(("before", "after"), [(None, "sku"), ("sku", ""), ("sku", "price")])
def test_another_column_takes_over_with_prune(shop: Path, before: str | None, after: str) -> None:
    index(shop, *([] if before is None else ["--key", before]))
    ids = {name: image for image, name in held(shop).values()}
    assert index(shop, "--key", after).code == 1
    dry = json.loads(index(shop, "--key", after, "--prune", "--dry-run", "--json").out)
    assert (len(dry["move"]), dry["remove"], dry["add"]) == (4, [], [])
    assert counts(index(shop, "--json", "--prune", "--key", after)) == {"moved": 4}
    expected = {
        "sku": [f"A{n + 1}" for n in range(4)],
        "": [f"{shop}/{n}.png" for n in range(4)],
        "price": ["0", "1", "2", "3"],
    }[after]
    assert list(held(shop)) == expected
    assert {name: image for image, name in held(shop).values()} == ids
    assert counts(index(shop, "--json", "--prune")) == {}


def test_a_kill_in_between_is_made_good(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index(shop)
    with Gallery.open(shop / "g") as gallery:
        gallery.catalog.set_key_column(str(shop / "feed.csv"), "sku")
    assert counts(index(shop, "--json", "--prune")) == {"moved": 4}
    assert set(held(shop)) == {"A1", "A2", "A3", "A4"}


def test_the_path_as_written_is_a_key_that_travels(shop: Path, tmp_path: Path) -> None:
    index(shop, "--key", "path")
    assert set(held(shop)) == {"0.png", "1.png", "2.png", "3.png"}


def test_a_key_from_python(shop: Path, gallery: Gallery) -> None:
    index_images(ManifestSource(shop / "feed.csv", key="sku"), gallery)
    assert gallery.find("A2").name == "1.png"
    report = index_images(shop / "feed.csv", gallery, prune=True)
    assert report.unchanged == 4


def test_a_folder_has_no_columns(shop: Path) -> None:
    with pytest.raises(SourceError, match="--key names a column of a manifest"):
        open_source(shop, key="sku")


def test_a_column_that_is_not_there(shop: Path) -> None:
    run = index(shop, "--key", "ean")
    assert run.code == 1
    assert "no column 'ean' (columns: sku, path, price); name one: --key NAME" in run.err


def test_numbers_of_a_csv_can_be_compared(shop: Path) -> None:
    write(shop, "A1,0.png,9.50", "A2,1.png,20", "A3,2.png,100", "A4,3.png,")
    index(shop)
    run = cbir("search", shop / "0.png", "-g", shop / "g", "--json", "--where", "price<20")
    assert [hit["metadata"]["sku"] for hit in json.loads(run.out)["hits"]] == ["A1"]


def test_a_bad_image_is_a_failure_with_its_line(shop: Path) -> None:
    (shop / "1.png").write_bytes(b"text")
    run = index(shop, "--json")
    reason = json.loads(run.out)["failed"][0]["reason"]
    assert reason.startswith("not an image")
    assert reason.endswith("(line 3)")
    write(shop, "A1,0.png,0", "A3,2.png,2", "A2,1.png,1")
    again = json.loads(index(shop, "--json").out)["failed"]
    assert [f["reason"][-8:] for f in again] == ["(line 4)"]


def test_the_column_travels_with_the_gallery(shop: Path) -> None:
    index(shop, "--key", "sku")
    assert cbir("export", "--out", shop / "g.npy", "-g", shop / "g").code == 0
    assert cbir("import", shop / "g.npy", "-g", shop / "copy").code == 0
    again = cbir("index", shop / "feed.csv", "-g", shop / "copy", "--json")
    report = json.loads(again.out)
    assert (report["added"], report["unchanged"]) == (0, 4)
