"""The file of all recommendations: its formats, and runs that are killed."""

import csv
import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from recommendation.shop import open_shop, products
from rows import batch, row, unit

from cbir.errors import CbirError, MissingExtraError
from cbir.gallery import Gallery
from cbir.recommendation import Rules, export_recommendations, recommend

BLOCK = 16


write_recommendations = partial(export_recommendations, block_size=BLOCK)


def open_products(path: Path) -> Gallery:
    return open_shop(path, products(100))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_rows_are_what_is_recommended(tmp_path: Path) -> None:
    rules = Rules(k=4, same=("category",), weight="margin")
    with open_products(tmp_path / "g") as gallery:
        done: list[int] = []
        report = write_recommendations(gallery, tmp_path / "r.csv", rules, progress=done.append)
        rows = read(tmp_path / "r.csv")
        keys = {record.id: record.key for record, _ in gallery.catalog.scan()}
        wanted = [
            (str(item), keys[item], str(one.rank), str(one.image.id), one.image.key)
            for item in keys
            for one in recommend(gallery, item, rules)
        ]
    fields = "item_id", "item_key", "rank", "recommended_id", "recommended_key"
    assert [tuple(line[name] for name in fields) for line in rows] == wanted
    assert all(float(line["score"]) >= float(line["similarity"]) for line in rows)
    assert done == [*range(16, 97, 16), 100]
    assert (report.items, report.recommendations) == (100, len(wanted))
    assert report.lacking == report.without > 0
    assert not (tmp_path / "r.csv.parts").exists()


def test_the_formats_say_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_products(tmp_path / "g") as gallery:
        for name in ("r.csv", "r.jsonl", "r.parquet"):
            write_recommendations(gallery, tmp_path / name, Rules(k=3))
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    table = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert len(table) == len(lines) == 300
    for a, b, c in zip(table, lines, read(tmp_path / "r.csv"), strict=True):
        assert list(a) == list(b) == list(c)
        for name, value in b.items():
            assert a[name] == (pytest.approx(value, abs=1e-6) if name == "score" else a[name])
            assert str(value) == c[name] or float(c[name]) == pytest.approx(value, abs=1e-6)
    assert parquet.ParquetFile(tmp_path / "r.parquet").num_row_groups == 7


@pytest.mark.parametrize("name", ["r.txt", "r", "r.parquet.gz"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with (
        open_products(tmp_path / "g") as gallery,
        pytest.raises(CbirError, match=r"name it \.parquet, \.csv or \.jsonl"),
    ):
        write_recommendations(gallery, tmp_path / name)


def test_parquet_says_what_it_needs(tmp_path: Path) -> None:
    with (
        open_products(tmp_path / "g") as gallery,
        patch.dict(sys.modules, {"pyarrow": None}),
        pytest.raises(MissingExtraError, match=r"pip install 'cbir\[parquet\]'"),
    ):
        write_recommendations(gallery, tmp_path / "r.parquet")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with (
        open_products(tmp_path / "g") as gallery,
        pytest.raises(CbirError, match="cannot be written: No such file or directory"),
    ):
        write_recommendations(gallery, tmp_path / "no" / "r.csv")


class StoppedError(Exception):
    pass


def interrupt(gallery: Gallery, out: Path, rules: Rules, *, after: int) -> None:
    def stop(done: int) -> None:
        if done >= after:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_recommendations(gallery, out, rules, progress=stop)


def test_a_run_goes_on_where_another_stopped(tmp_path: Path) -> None:
    with open_products(tmp_path / "g") as gallery:
        out = tmp_path / "r.csv"
        interrupt(gallery, out, Rules(k=4), after=40)
        assert not out.exists()
        done: list[int] = []
        report = write_recommendations(gallery, out, Rules(k=4), progress=done.append)
        assert report.resumed == done[0] - BLOCK == 48
        assert not report.restarted
        write_recommendations(gallery, tmp_path / "whole.csv", Rules(k=4))
        assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_other_rules_start_anew(tmp_path: Path) -> None:
    with open_products(tmp_path / "g") as gallery:
        interrupt(gallery, tmp_path / "r.csv", Rules(k=4), after=40)
        report = write_recommendations(gallery, tmp_path / "r.csv", Rules(k=5))
        assert (report.resumed, report.restarted, report.recommendations) == (0, True, 500)


@pytest.mark.parametrize("change", ["new image", "other metadata", "another exclusion"])
def test_a_changed_gallery_starts_anew(tmp_path: Path, change: str) -> None:
    from cbir.catalog.rows import Batch, TouchedRow
    from cbir.types import ImageVersion

    rules = Rules(k=4, weight="margin")
    with open_products(tmp_path / "g") as gallery:
        interrupt(gallery, tmp_path / "r.csv", rules, after=40)
        if change == "new image":
            gallery.write("/shop", batch(row("/shop/new.jpg", unit(9))))
        elif change == "another exclusion":
            gallery.remove([7])
        else:
            image = gallery.image(3)
            touched = TouchedRow(
                3, image.key, image.uri, image.name, ImageVersion(100, 2), {"margin": 99}
            )
            gallery.write("/shop", Batch(touched=[touched]))
        report = write_recommendations(gallery, tmp_path / "r.csv", rules)
        assert (report.resumed, report.restarted) == (0, True)


def test_a_damaged_part_is_worked_out_again(tmp_path: Path) -> None:
    with open_products(tmp_path / "g") as gallery:
        interrupt(gallery, tmp_path / "r.csv", Rules(k=4), after=40)
        part = tmp_path / "r.csv.parts" / "000001.npz"
        part.write_bytes(part.read_bytes()[:100])
        report = write_recommendations(gallery, tmp_path / "r.csv", Rules(k=4))
        assert report.resumed == 2 * BLOCK
        assert report.recommendations == 400


SLOWLY = """
import sys
from cbir.recommendation import Rules, export_recommendations
from cbir.gallery import Gallery

print("started", flush=True)
with Gallery.open(sys.argv[1]) as gallery:
    leave = lambda done: sys.stdin.readline()  # two blocks, and no more before the kill
    rules = Rules(k=4, diversity=0.3)
    export_recommendations(gallery, sys.argv[2], rules, block_size=16, progress=leave)
"""


def test_runs_that_are_killed_end_in_the_same_file(tmp_path: Path) -> None:
    out, parts = tmp_path / "r.csv", tmp_path / "r.csv.parts"
    with open_products(tmp_path / "g") as gallery:
        write_recommendations(gallery, tmp_path / "whole.csv", Rules(k=4, diversity=0.3))
    found: list[int] = []
    kills = 0
    for attempt in range(30):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOWLY, tmp_path / "g", out],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n\n")
        process.stdin.flush()
        process.stdout.readline()
        # As soon as there is one more part than before, at some point behind it.
        while process.poll() is None and len(list(parts.glob("[0-9]*"))) <= len(found) // 2:
            time.sleep(0.001)
        time.sleep(0.004 * (attempt % 4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if out.exists():  # whole, though the run may have been killed on its way out
            break
        kills += 1
        found.append(len(list(parts.glob("[0-9]*"))))
    assert kills >= 3
    assert found == sorted(found)
    if not out.exists():
        with Gallery.open(tmp_path / "g") as gallery:
            write_recommendations(gallery, out, Rules(k=4, diversity=0.3))
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
