"""One catalogue in three formats, with types, and what is wrong with files of them."""

import json
import tracemalloc
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import encode, plain

from cbir.errors import MissingExtraError, SourceError
from cbir.metadata import plain as as_kept
from cbir.sources import ManifestSource, SourceImage, distinct
from cbir.types import FailedImage

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

ROWS: list[dict[str, Any]] = [
    {
        "path": "red.png",
        "sku": "00123",
        "price": 12.5,
        "stock": True,
        "added": "2026-11-23",
        "tags": ["new", "red"],
    },
    {"path": "blue.png", "sku": "00124", "price": 9, "added": "2026-11-24", "tags": ["blue"]},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("red.png", "blue.png"):
        (tmp_path / name).write_bytes(encode(plain("red", 2, 2)))
    return tmp_path


def feed(folder: Path, suffix: str, rows: Sequence[Any] = ROWS) -> Path:
    path = folder / f"feed{suffix}"
    if suffix == ".csv":
        names = list(rows[0])
        cells = [
            [v if isinstance(v := row.get(n, ""), str) else json.dumps(v) for n in names]
            for row in rows
        ]
        lines = [";".join(line) for line in [names, *cells]]
        path.write_text("\n".join(lines).replace('"', '""').replace("[", '"[').replace("]", ']"'))
    elif suffix == ".jsonl":
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n")
    else:
        typed = [
            {n: date.fromisoformat(v) if n == "added" else v for n, v in row.items()}
            for row in rows
        ]
        parquet.write_table(pa.Table.from_pylist(typed), path)
    return path


def images(source: ManifestSource) -> list[SourceImage]:
    found = list(distinct(source))
    assert source.count() == len(found)
    assert all(isinstance(image, SourceImage) for image in found), found
    return [image for image in found if isinstance(image, SourceImage)]


def failures(source: ManifestSource) -> list[tuple[str, str]]:
    found = list(distinct(source))
    assert source.count() == len(found)
    return [(f.uri, f.reason) for f in found if isinstance(f, FailedImage)]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_images(folder: Path, suffix: str) -> None:
    red, blue = images(ManifestSource(feed(folder, suffix)))
    assert (red.name, blue.name) == ("red.png", "blue.png")
    assert red.metadata == {
        "sku": "00123",
        "price": 12.5,
        "stock": True,
        "added": date(2026, 11, 23),
        "tags": ["new", "red"],
    }
    assert blue.metadata == {
        "sku": "00124",
        "price": 9,
        "added": date(2026, 11, 24),
        "tags": ["blue"],
    }


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_changed_file_is_read_anew(folder: Path, suffix: str) -> None:
    source = ManifestSource(feed(folder, suffix))
    assert source.count() == 2
    feed(folder, suffix, [{**ROWS[0], "sku": "A"}])
    assert [image.metadata["sku"] for image in images(source)] == ["A"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_that_fail_say_which(folder: Path, suffix: str) -> None:
    rows = [
        {"path": "red.png", "sku": "A", "price": 1, "added": "2026-11-23"},
        {"path": "gone.png", "sku": "B"},
        {"sku": "C"},
        {"path": "red.png", "sku": "D"},
    ]
    path = feed(folder, suffix, rows)
    word = "line" if suffix == ".jsonl" else "row"
    assert failures(ManifestSource(path)) == [
        (f"{folder}/gone.png", f"no such file ({word} 2)"),
        (f"{path}:3", "row has no path"),
        (
            f"{path}:4",
            f"the same path stands in {word} 1 with other metadata; {word} 1 was taken, "
            "--key COLUMN (key=...) keeps both",
        ),
    ]


def test_lines_that_are_no_objects_fail_and_the_rest_goes_on(folder: Path) -> None:
    lines = [
        '{"path": "red.png"}',
        "{",
        '["red.png"]',
        "",
        '\ufeff{"path": 5}',
        "[" * 100_000,
        '{"path": "blue.png", "x": "' + "y" * 1_000_000 + '"}',
        '{"path": "blue.png"}',
    ]
    path = feed(folder, ".jsonl", lines)
    source = ManifestSource(path)
    assert failures(source) == [
        (f"{path}:2", "not JSON: Expecting property name enclosed in double quotes"),
        (f"{path}:3", 'not a JSON object, as {"path": "a.jpg"}'),
        (f"{path}:5", "5 is not a path"),
        (f"{path}:6", "not JSON: nested too deeply"),
        (f"{path}:7", "longer than 1,000,000 bytes"),
    ]
    assert [i.name for i in source if isinstance(i, SourceImage)] == ["red.png", "blue.png"]


def test_deep_values_become_text_and_empty_ones_are_left_out(folder: Path) -> None:
    row = {"path": "red.png", "size": {"w": 2}, "none": None, "empty": " ", "n": 0, "no": False}
    (image,) = images(ManifestSource(feed(folder, ".jsonl", [row])))
    assert image.metadata == {"size": '{"w": 2}', "n": 0, "no": False}


def test_parquet_s_own_types_are_kept(folder: Path) -> None:
    table = pa.table(
        {
            "path": pa.array(["red.png"]).dictionary_encode(),
            "price": pa.array([Decimal("9.90")]),
            "at": pa.array([datetime(2026, 11, 23, 8)], pa.timestamp("ns")),
            "zoned": pa.array([datetime(2026, 11, 23, 8)], pa.timestamp("us", "UTC")),
            "tags": pa.array([["a", "b"]], pa.large_list(pa.string())),
            "size": [{"w": 1}],
            "n": pa.array([7], pa.int8()),
            "nan": [float("nan")],
            "pixels": pa.array([b"\x89PNG"], pa.binary()),
        }
    )
    parquet.write_table(table, folder / "feed.parquet")
    (image,) = images(ManifestSource(folder / "feed.parquet"))
    assert as_kept(image.metadata) == {
        "price": 9.9,
        "at": "2026-11-23T08:00:00",
        "zoned": "2026-11-23T08:00:00+00:00",
        "tags": ["a", "b"],
        "size": '{"w": 1}',
        "n": 7,
    }


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_column_that_is_not_there_is_named(folder: Path, suffix: str) -> None:
    path = feed(folder, suffix, [{"sku": "A", "image": "red.png"}])
    with pytest.raises(SourceError) as caught:
        list(ManifestSource(path))
    assert str(caught.value) == (
        f"{path}: no column 'path' (columns: sku, image); name one: --image-column image"
    )
    with pytest.raises(SourceError, match=r"no column 'skuu'.*--key sku$"):
        list(ManifestSource(path, image_column="image", key="skuu"))


@pytest.mark.parametrize("name", ["feed.json", "feed.jsonl"])
def test_an_array_is_read_as_lines_are(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text('\ufeff\n [ {"path": "red.png", "n": 1},\n{"path": "gone.png"}, 5 ]\n')
    image, gone, number = list(ManifestSource(path))
    assert isinstance(image, SourceImage)
    assert (image.name, image.metadata, str(image.place)) == ("red.png", {"n": 1}, "item 1")
    assert isinstance(gone, FailedImage)
    assert gone.reason == "no such file (item 2)"
    assert isinstance(number, FailedImage)
    assert number.reason == 'not a JSON object, as {"path": "a.jpg"}'
    path.write_text("[1, 2")
    with pytest.raises(SourceError, match=f"{name}: not JSON: "):
        list(ManifestSource(path))


def test_a_json_document_is_no_manifest(folder: Path) -> None:
    (folder / "feed.json").write_text('{\n  "title": "IMG_1.jpg"\n}\n')
    with pytest.raises(SourceError, match="neither an array of objects nor one object per line"):
        list(ManifestSource(folder / "feed.json"))


@pytest.mark.parametrize("data", [b"", b"PAR1", b"text " * 100])
def test_a_damaged_parquet_file_is_an_error_of_the_source(folder: Path, data: bytes) -> None:
    (folder / "feed.parquet").write_bytes(data)
    with pytest.raises(SourceError, match=r"feed.parquet: cannot be read: \S"):
        list(ManifestSource(folder / "feed.parquet"))


def test_parquet_without_pyarrow_names_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = feed(folder, ".parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cbir\[parquet\]'"):
        list(ManifestSource(path))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_long_file_is_never_in_memory(folder: Path, suffix: str) -> None:
    """4 MB of it are read with much less; Parquet's memory is not Python's to count."""
    text = "x" * 2_000
    path = folder / f"feed{suffix}"
    with path.open("w") as file:
        file.write("path,text\n" if suffix == ".csv" else "")
        for number in range(2_000):
            row = {"path": f"{number}.png", "text": text}
            file.write((",".join(row.values()) if suffix == ".csv" else json.dumps(row)) + "\n")
    tracemalloc.start()
    assert sum(1 for _ in ManifestSource(path)) == 2_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
