"""`cbir evaluate` as its users meet it."""

import json
import re
from pathlib import Path

import pytest
from factories import picture
from terminal import cbir


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A gallery of three groups of three pictures that differ in size only, and a single one."""
    photos = tmp_path / "photos"
    photos.mkdir()
    rows = ["path,label,split"]
    for number in range(10):
        picture(64 + 2 * (number % 3), 48, seed=number // 3).save(photos / f"{number}.png")
        rows.append(f"{number}.png,g{number // 3},{'test' if number % 3 == 0 else 'train'}")
    (photos / "feed.csv").write_text("\n".join(rows) + "\n")
    run = cbir("index", photos / "feed.csv", "-g", tmp_path / "shop", "--backbone", "tiny_image")
    assert run.code == 0
    return tmp_path / "shop"


def test_it_prints_a_table_and_what_stands_behind_it(shop: Path) -> None:
    run = cbir("evaluate", "-g", shop, "--label", "label", "-k", "1", "-k", "2")
    assert run.code == 0
    lines = run.out.splitlines()
    assert lines[0].split("  ")[0] == "metric"
    assert re.match(r"mAP +1\.000 +1\.000 – 1\.000$", lines[1])
    names = [re.split("  +", line)[0] for line in lines[1:-1]]
    assert names == [
        *("mAP", "mAP trapezoidal", "MRR"),
        *("P@1", "P@2", "R@1", "R@2", "nDCG@1", "nDCG@2"),
    ]
    assert re.match(
        r"9 queries · 1 left out \(no relevant images\) · ranked 10 images in [\d.]+ s · "
        r"a search takes \d+ ms, p90 \d+, p99 \d+$",
        lines[-1],
    )


def test_it_prints_json(shop: Path) -> None:
    arguments = ["evaluate", "-g", shop, "--label", "label", "--queries", "split=test", "--json"]
    data = json.loads(cbir(*arguments).out)
    assert data["metrics"]["mAP"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert set(data["metrics"]) >= {"P@1", "P@5", "P@10", "P@20", "nDCG@20", "R@20"}
    assert (data["queries"], data["left_out"], data["images"]) == (3, 1, 10)
    assert data["labels"][0] == {"label": "g0", "queries": 1, "mean_ap": 1.0}
    assert set(data["latency"]) == {"p50_ms", "p90_ms", "p99_ms", "queries", "k"}


def test_it_lists_labels(shop: Path) -> None:
    run = cbir("evaluate", "-g", shop, "--label", "label", "--by-label")
    assert re.search(r"^1\.000  ━{10} +3  g0$", run.out, re.MULTILINE)


def test_it_takes_files_of_queries_and_answers(shop: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    truth.write_text('{"0.png": ["1.png"], "3.png": ["9.png"]}')
    arguments = "evaluate", "-g", shop, "--json", "--ground-truth", truth
    data = json.loads(cbir(*arguments).out)
    assert data["queries"] == 2
    assert data["metrics"]["mAP"]["value"] < 1
    truth.write_text(
        json.dumps(
            {
                "imlist": [str(number) for number in range(10)],
                "qimlist": ["0"],
                "gnd": [{"easy": [1], "hard": [9], "junk": [2], "bbx": [0, 0, 64, 48]}],
            }
        )
    )
    easy, hard = (json.loads(cbir(*arguments, "--protocol", p).out) for p in ("easy", "hard"))
    assert easy["metrics"]["mAP"]["value"] == 1
    assert hard["metrics"]["mAP"]["value"] < 1


def test_it_writes_a_report(shop: Path, tmp_path: Path) -> None:
    run = cbir("evaluate", "-g", shop, "--label", "label", "--report", tmp_path / "report")
    assert run.out.splitlines()[-1] == f"report: {tmp_path / 'report' / 'index.html'}"
    assert f"{shop}, by label" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --label NAME or --ground-truth FILE"),
        (["--label", "a", "--ground-truth", "b"], "give either --label NAME or --ground-truth"),
        (["--label", "kind"], "no image has such a label (columns: label, split)"),
        (["--label", "label", "--queries", "split"], "--queries 'split' is not COLUMN=VALUE"),
        (["--label", "label", "--queries", "split=x"], "no labelled image has split=x"),
        (["--label", "label", "--protocol", "easy"], "--protocol is for --ground-truth"),
        (["--ground-truth", "b", "--queries", "a=b"], "--queries is for --label"),
        (["--ground-truth", "none.json"], "none.json: cannot be read: No such file"),
        (["--label", "label", "--depth", "5"], "k 20 is larger than the depth of 5"),
    ],
)
def test_errors_are_one_line(shop: Path, arguments: list[str], message: str) -> None:
    run = cbir("evaluate", "-g", shop, *arguments)
    data = message.startswith(("no ", "none.json", "k 20"))
    assert run.code == (1 if data else 2)
    assert message in run.err
    assert run.err.count("\n") == 1
