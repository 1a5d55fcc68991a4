"""Files as pyarrow or numpy alone see them, and files that other tools wrote."""

import json
import sys
from datetime import date, datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from rows import spec, unit
from transfer.shop import everything

from cbir import (
    Gallery,
    Retriever,
    export_gallery,
    import_gallery,
    index_images,
    parse_where,
    resolve_spec,
)
from cbir.config import EmbeddingSpec
from cbir.errors import MissingExtraError, SpecMismatchError, TransferError


def test_parquet_has_a_column_for_each_field(shop: Gallery, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_gallery(shop, tmp_path / "shop.parquet")
    table = parquet.read_table(tmp_path / "shop.parquet")
    types = {
        name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)
    }
    assert types["embedding"] == "fixed_size_list<element: halffloat>[16]"
    shown = {n.removeprefix("metadata."): t for n, t in types.items() if n.startswith("metadata.")}
    assert shown == {
        "at": "timestamp[us]",
        "day": "date32[day]",
        "embedding": "string",
        "exact": "double",
        "huge": "double",
        "id": "string",
        "metadata": "string",
        "numbers": "list<element: double>",
        "odd": "string",
        "price": "double",
        "sold": "bool",
        "stock": "int64",
        "tags": "list<element: string>",
        "text": "string",
        "when": "timestamp[us, tz=UTC]",
        "\\udcfe": "int64",
        "é": "string",
    }  # `mixed` and `both` hold several types: they stand in `metadata` alone
    rows = table.to_pylist()
    assert [r["id"] for r in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [r["metadata.price"] for r in rows] == [12.5, 12.0, None, None, None, None, None]
    assert [r["metadata.tags"] for r in rows[:3]] == [["red", "blue"], [], None]
    assert rows[0]["metadata.day"] == date(2026, 11, 23)
    assert rows[3]["metadata.at"] == datetime(2026, 1, 2)
    assert rows[4]["metadata.when"] == datetime(2026, 1, 1, 21, 30, tzinfo=timezone.utc)
    assert rows[5]["metadata.huge"] == float("inf")
    assert json.loads(rows[5]["metadata"])["exact"] == 2**60
    assert rows[1]["key"] == "sku-1"
    assert rows[1]["uri"] == "/shop/1.png"
    vectors = np.array([r["embedding"] for r in rows], np.float32)
    assert (
        vectors.tobytes()
        == np.stack([unit(n).astype("<f2") for n in range(7)]).astype("<f4").tobytes()
    )


def test_numpy_and_json_alone_read_the_other(shop: Gallery, tmp_path: Path) -> None:
    export_gallery(shop, tmp_path / "shop.npy")
    vectors = np.load(tmp_path / "shop.npy")
    assert vectors.tobytes() == np.stack([unit(n) for n in range(7)]).astype("<f2").tobytes()
    lines = [json.loads(line) for line in (tmp_path / "shop.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[0]["metadata"]["tags"] == ["red", "blue"]
    assert lines[2]["uri"] == "file:///shop/%E9.png"
    head = json.loads((tmp_path / "shop.json").read_text())
    assert EmbeddingSpec.from_json(head["gallery"]["spec"]) == shop.spec


def test_without_pyarrow(shop: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "there.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtraError, match=r"cbir\[parquet\].*use .npy"):
        export_gallery(shop, tmp_path / "shop.parquet")
    with pytest.raises(MissingExtraError, match=r"cbir\[parquet\].*use .npy"):
        import_gallery(tmp_path / "there.parquet", tmp_path / "copy")
    export_gallery(shop, tmp_path / "shop.npy")
    assert import_gallery(tmp_path / "shop.npy", tmp_path / "copy").added == 7


@pytest.fixture(params=["parquet", "npy"])
def foreign(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Six pictures embedded by somebody else, by their paths, with a price and a day."""
    embedder = resolve_spec("tiny_image")[0]
    count = len(list(folder.rglob("*.png")))
    vectors = np.stack([unit(n, embedder.dim) for n in range(count)])
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))
    prices = list(range(count))
    file = folder / f"foreign.{request.param}"
    if request.param == "npy":
        np.save(file, vectors.astype(np.float64))
        lines = [{"uri": n, "price": p} for n, p in zip(names, prices, strict=True)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        file.with_suffix(".jsonl").write_text(text)
    else:
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        days = [date(2026, 1, 1 + n) for n in range(count)]
        columns = {"uri": names, "price": prices, "day": days, "embedding": list(vectors)}
        parquet.write_table(arrow.table(columns), file)
    return file


def test_embeddings_of_another_tool(foreign: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="--backbone"):
        import_gallery(foreign, tmp_path / "new")
    ours, _ = resolve_spec("tiny_image")
    report = import_gallery(foreign, tmp_path / "new", spec=ours)
    assert (report.added, report.failed, report.created) == (6, (), True)
    with Gallery.open(tmp_path / "new", spec=ours) as gallery:
        image = gallery.find(str(folder / "odd/1.png"))
        assert image.name == "odd/1.png"
        assert len(Retriever(gallery).search(image.id, k=9).hits) == 5
        assert gallery.count(parse_where(["price<2"])) == 2
        if foreign.suffix == ".parquet":
            assert gallery.count(parse_where(["day>=2026-01-05"])) == 2
        # Of the files nothing is known yet: a run over them looks.
        assert index_images(folder, gallery).updated == 6
    assert not list(tmp_path.glob("*.importing"))


def test_another_tool_s_rows_go_by_their_keys(foreign: Path, tmp_path: Path) -> None:
    ours, _ = resolve_spec("tiny_image")
    import_gallery(foreign, tmp_path / "new", spec=ours)
    again = import_gallery(foreign, tmp_path / "new", spec=ours)
    assert (again.unchanged, again.added, again.updated) == (6, 0, 0)


def test_another_dimension_is_refused(foreign: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecMismatchError, match=r"3072 dimensions.*16"):
        import_gallery(foreign, tmp_path / "new", spec=spec())
    assert not (tmp_path / "new").exists()


def test_rows_whose_head_was_dropped(shop: Gallery, tmp_path: Path) -> None:
    """As many tools write what they have read: the rows are whole, the spec has to be said."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "shop.parquet"
    export_gallery(shop, file)
    parquet.write_table(parquet.read_table(file).replace_schema_metadata(None), file)
    assert import_gallery(file, tmp_path / "new", spec=shop.spec).added == 7
    with Gallery.open(tmp_path / "new") as new:
        assert everything(new) == everything(shop)


@pytest.mark.parametrize(
    ("uri", "stored", "name"),
    [
        ("a/1.png", "{folder}/a/1.png", "a/1.png"),
        ("/a/1.png", "/a/1.png", "/a/1.png"),
        ("file:///a/1.png", "/a/1.png", "/a/1.png"),
        ("file:///a/%E9.png", "file:///a/%E9.png", "/a/\\xe9.png"),
        ("https://host/1.png", "https://host/1.png", "https://host/1.png"),
    ],
)
def test_uris_of_another_tool(tmp_path: Path, uri: str, stored: str, name: str) -> None:
    np.save(tmp_path / "file.npy", unit(1)[None])
    (tmp_path / "file.jsonl").write_text(json.dumps({"uri": uri, "name": "mug", "width": 3}))
    import_gallery(tmp_path / "file.npy", tmp_path / "new", spec=spec())
    with Gallery.open(tmp_path / "new") as new:
        image = new.image(1)
        assert (image.uri, image.name) == (stored.format(folder=tmp_path), name)
        assert image.metadata == {"name": "mug", "width": 3}


def test_lists_of_any_length_are_told_apart(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    lists = [unit(0).tolist(), unit(1).tolist()[:5], None, [None, *unit(3).tolist()[1:]]]
    table = arrow.table({"uri": ["a", "b", "c", "d"], "embedding": lists})
    parquet.write_table(table, tmp_path / "file.parquet")
    report = import_gallery(tmp_path / "file.parquet", tmp_path / "new", spec=spec())
    assert report.added == 1
    rows = [failure.uri.rpartition(" ")[2] for failure in report.failed]
    assert rows == ["2", "3", "4"]
