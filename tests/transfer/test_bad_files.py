"""Files that are none, and rows that are no images."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transfer.shop import everything

from cbir import Gallery, export_gallery, import_gallery
from cbir.errors import TransferError

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _text(file: Path) -> None:
    file.write_text("no such thing")


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _no_head(file: Path) -> None:
    parquet.write_table(parquet.read_table(file).replace_schema_metadata(None), file)


def _without(name: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        parquet.write_table(parquet.read_table(file).drop_columns([name]), file)

    return change


def _twice(file: Path) -> None:
    table = parquet.read_table(file)
    parquet.write_table(table.append_column("key", table["uri"]), file)


def _head(**changed: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        table = parquet.read_table(file)
        head = json.loads(table.schema.metadata[b"cbir"]) | changed
        parquet.write_table(table.replace_schema_metadata({"cbir": json.dumps(head)}), file)

    return change


def _embeddings(values: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        table = parquet.read_table(file).drop_columns(["embedding"])
        table = table.append_column("embedding", arrow.array(values))
        parquet.write_table(table, file)

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, "not a Parquet file, or truncated"),
        (_text, "not a Parquet file, or truncated"),
        (_empty, "not a Parquet file, or truncated"),
        (Path.unlink, "no such file"),
        (_no_head, "does not say how its embeddings were made"),
        (_without("embedding"), "no column 'embedding'"),
        (_without("key"), "no column 'key'"),
        (_twice, "two columns are called 'key'"),
        (_head(format=2), "update cbir"),
        (_head(gallery={}), "export it again"),
        (_head(projection="****="), "export it again"),
        (_embeddings(["a"] * 7), "not a list of floats"),
        (_embeddings([[1, 2]] * 7), "not a list of floats"),
        (_embeddings([[0.6, 0.8]] * 7), "has 2 dimensions"),
    ],
)
def test_a_parquet_file_that_is_none(
    shop: Gallery, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    file = tmp_path / "shop.parquet"
    export_gallery(shop, file)
    spoil(file)
    with pytest.raises(Exception, match=message) as caught:
        import_gallery(file, tmp_path / "new")
    assert str(file) in str(caught.value)
    assert type(caught.value).__module__ == "cbir.errors"
    assert not list(tmp_path.glob("new*"))


def test_damage_in_the_middle(shop: Gallery, tmp_path: Path) -> None:
    """What lies before it is in, and the next run, over a sound file, goes on."""
    file = tmp_path / "shop.parquet"
    export_gallery(shop, file)
    sound, last = file.read_bytes(), parquet.ParquetFile(file).metadata.row_group(2).column(1)
    start = last.data_page_offset
    file.write_bytes(sound[:start] + b"\xff" * 30 + sound[start + 30 :])
    with pytest.raises(TransferError, match="damaged after row"):
        import_gallery(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    file.write_bytes(sound)
    assert import_gallery(file, tmp_path / "new").images == 7


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, "not a .npy file, or truncated"),
        (_text, "not a .npy file, or truncated"),
        (lambda file: np.save(file, np.zeros(7)), r"not \(N, D\) floats"),
        (lambda file: np.save(file, np.zeros((7, 16), int)), r"not \(N, D\) floats"),
        (lambda file: np.save(file, np.zeros((6, 16))), "do not belong together"),
        (lambda file: file.with_suffix(".jsonl").unlink(), "cannot be read: No such file"),
        (lambda file: file.with_suffix(".jsonl").write_text("{}\n" * 6), "do not belong together"),
        (lambda file: file.with_suffix(".jsonl").write_text("{\n" * 7), "line 1 is not JSON"),
        (lambda file: file.with_suffix(".jsonl").write_text("1\n" * 7), "line 1 is not JSON"),
        (lambda file: file.with_suffix(".json").unlink(), "does not say how"),
        (lambda file: file.with_suffix(".json").write_text("{"), "not JSON"),
        (lambda file: file.with_suffix(".json").write_text("[]"), "export it again"),
    ],
)
def test_npy_files_that_are_none(
    shop: Gallery, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    file = tmp_path / "shop.npy"
    export_gallery(shop, file)
    spoil(file)
    with pytest.raises(TransferError, match=message):
        import_gallery(file, tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


def test_an_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="should end in"):
        import_gallery(tmp_path / "shop.csv", tmp_path / "new")


BAD_ROWS: list[tuple[str, Any, str]] = [
    ("vector", np.nan, "not finite"),
    ("vector", np.inf, "not finite"),
    ("vector", 0.0, "length 0, not 1"),
    ("vector", 0.5, "length 2, not 1"),
    ("key", "/shop/a b.png", "same key"),
    ("key", None, "its key is None"),
    ("key", 7, "its key is 7"),
    ("uri", "a\0b", "its uri"),
    ("uri", "\udcff", "not UTF-8"),
    ("id", 1, "same id"),
    ("id", 0, r"not one of that gallery's \(1 to 7\)"),
    ("id", 8, r"not one of that gallery's \(1 to 7\)"),
    ("id", True, "not a whole number"),
    ("id", 1 << 63, "not a whole number"),
    ("size", 1 << 63, "not a whole number"),
    ("width", None, "its width is None"),
    ("size", 1.5, "its size is 1.5"),
    ("mtime_ns", "now", "its mtime_ns is 'now'"),
    ("content_hash", "abcd", "2 bytes, not 16"),
    ("content_hash", "xyz", "non-hexadecimal"),
    ("content_hash", None, "NoneType"),
    ("metadata", [1], "not a JSON object"),
    ("metadata", "{", "Expecting"),
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD_ROWS)
def test_a_row_that_is_no_image(
    shop: Gallery, tmp_path: Path, name: str, value: Any, reason: str
) -> None:
    """It is a failure with its number; the others are in."""
    file = tmp_path / "shop.npy"
    export_gallery(shop, file)
    if name == "vector":
        vectors = np.load(file)
        vectors[4] = value
        np.save(file, vectors)
    else:
        lines = file.with_suffix(".jsonl").read_text().splitlines()
        lines[4] = json.dumps(json.loads(lines[4]) | {name: value})
        file.with_suffix(".jsonl").write_text("".join(line + "\n" for line in lines))
    report = import_gallery(file, tmp_path / "new")
    assert report.added == 6
    assert [failure.uri for failure in report.failed] == [f"{file}: row 5"]
    assert re.search(reason, report.failed[0].reason)
    with Gallery.open(tmp_path / "new") as new:
        assert everything(new) == [image for image in everything(shop) if image.id != 5]


def test_a_row_that_lacks_a_column(shop: Gallery, tmp_path: Path) -> None:
    """The last is a page of its own: no other row of it has the column."""
    file = tmp_path / "shop.npy"
    export_gallery(shop, file)
    lines = file.with_suffix(".jsonl").read_text().splitlines()
    row = json.loads(lines[6])
    del row["metadata"]
    file.with_suffix(".jsonl").write_text("\n".join([*lines[:6], json.dumps(row)]))
    report = import_gallery(file, tmp_path / "new")
    assert [failure.reason for failure in report.failed] == ["it has no 'metadata'"]
    assert report.added == 6


def test_bad_rows_of_parquet(shop: Gallery, tmp_path: Path) -> None:
    file = tmp_path / "shop.parquet"
    export_gallery(shop, file)
    table = parquet.read_table(file)
    rows = table.to_pylist()
    rows[1]["embedding"] = None
    rows[3]["embedding"] = [float("nan")] * 16
    rows[5]["uri"] = None
    parquet.write_table(arrow.Table.from_pylist(rows, schema=table.schema), file)
    report = import_gallery(file, tmp_path / "new")
    assert [failure.uri for failure in report.failed] == [f"{file}: row {n}" for n in (2, 4, 6)]
    assert report.images == 4
