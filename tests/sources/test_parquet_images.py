"""Parquet files with the images' bytes in them, as the `datasets` library and others write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from factories import encode, picture
from pyarrow import parquet

from cbir import Gallery, Retriever, index_images
from cbir.errors import ImageError, SourceError
from cbir.sources import ManifestSource, SourceImage, open_source
from cbir.sources import parquet_images as module
from cbir.sources.reading import current_version, read_uri
from cbir.types import FailedImage, ImageVersion

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def jpegs(count: int) -> list[bytes]:
    return [encode(picture(40, 30, seed=n), "JPEG") for n in range(count)]


def write(path: Path, kind: Any, cells: list[Any], **columns: list[Any]) -> Path:
    table = pa.table({"image": pa.array(cells, kind), **columns})
    parquet.write_table(table, path, row_group_size=4)
    return path


def listed(path: Path, **options: str) -> list[SourceImage | FailedImage]:
    source = open_source(path, **options)
    assert source.count() == len(list(source))
    return list(source)


@pytest.mark.parametrize(
    "kind", [STRUCT, pa.binary(), pa.large_binary(), pa.binary_view()], ids=str
)
def test_images_in_parquet_are_places_of_column_and_row(tmp_path: Path, kind: Any) -> None:
    data = jpegs(6)
    cells = [{"bytes": d, "path": f"{n}.jpg"} for n, d in enumerate(data)]
    file = write(tmp_path / "a.parquet", kind, cells if kind == STRUCT else data, label=[*range(6)])
    images = listed(file)
    stamp = file.stat().st_mtime_ns
    for number, image in enumerate(images):
        assert isinstance(image, SourceImage)
        uri = f"{file}/image/{number + 1}"
        name = f"{number}.jpg" if kind == STRUCT else f"a.parquet/image/{number + 1}"
        assert (image.uri, image.name, image.metadata) == (uri, name, {"label": number})
        assert image.version == ImageVersion(len(data[number]), stamp) == current_version(uri)
        assert image.read() == read_uri(uri) == data[number]
    assert [read_uri(f"{file}/image/{n}") for n in (6, 1, 5, 2)] == [data[n] for n in (5, 0, 4, 1)]


def test_cells_without_bytes_are_paths_or_failures(tmp_path: Path) -> None:
    (red,) = jpegs(1)
    (tmp_path / "red.jpg").write_bytes(red)
    cells = [
        {"bytes": None, "path": "red.jpg"},
        {"bytes": b"", "path": None},
        None,
        {"bytes": red, "path": None},
    ]
    file = write(tmp_path / "a.parquet", STRUCT, cells)
    path, empty, missing, inside = listed(file)
    assert (path.uri, inside.uri) == (f"{tmp_path}/red.jpg", f"{file}/image/4")
    assert empty == FailedImage(f"{file}:2", "row has an empty image")
    assert missing == FailedImage(f"{file}:3", "row has no path")


def test_one_of_several_columns_of_images_is_named(tmp_path: Path) -> None:
    data = jpegs(2)
    table = pa.table({"front": data[:1], "back side": data[1:], "sku": ["A"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"columns: sku, front, back side"):
        list(ManifestSource(tmp_path / "a.parquet"))
    (image,) = listed(tmp_path / "a.parquet", image_column="back side", key="sku")
    assert isinstance(image, SourceImage)
    assert (image.read(), image.key, image.metadata) == (data[1], "A", {"sku": "A"})


def test_webdataset_s_columns_are_called_by_their_suffix(tmp_path: Path) -> None:
    (data,) = jpegs(1)
    table = pa.table({"jpg": [data], "json": [b"{}"], "__key__": ["a"], "txt": ["a mug"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    (image,) = listed(tmp_path / "a.parquet", key="__key__")
    assert isinstance(image, SourceImage)
    assert (image.read(), image.key) == (data, "a")
    assert image.metadata == {"__key__": "a", "txt": "a mug"}


def test_a_gallery_of_a_parquet_file_is_searched_and_follows_it(
    tmp_path: Path, gallery: Gallery
) -> None:
    data = jpegs(5)
    file = write(tmp_path / "a.parquet", pa.binary(), data, sku=["a", "b", "c", "d", "e"])
    assert index_images(file, gallery).added == 5
    assert index_images(file, gallery).unchanged == 5
    hit = Retriever(gallery).search(f"{file}/image/3", k=1).hits[0]
    assert (hit.image.name, hit.image.size) == ("a.parquet/image/3", len(data[2]))
    write(file, pa.binary(), data[1:], sku=["b", "c", "d", "e"])
    report = index_images(file, gallery, prune=True)
    assert (report.moved, report.removed, report.added) == (4, 1, 0)


@pytest.mark.parametrize("place", ["image/0", "image/6", "image/x", "image", "sku/1", "gone/1"])
def test_a_place_that_is_not_there_says_so(tmp_path: Path, place: str) -> None:
    file = write(tmp_path / "a.parquet", pa.binary(), jpegs(5), sku=[*"abcde"])
    with pytest.raises(ImageError, match="Parquet file"):
        read_uri(f"{file}/{place}")


def test_few_rows_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_ROWS", 2)
    data = [bytes([n]) * 1000 for n in range(40)]
    table = pa.table({"image": pa.array(data, pa.binary())})
    parquet.write_table(table, tmp_path / "a.parquet")  # one group of all rows
    uri = f"{tmp_path / 'a.parquet'}/image"
    order = [0, 3, 2, 1, 6, 4, 39, 0, 20, 12, 13]
    assert [read_uri(f"{uri}/{n + 1}") for n in order] == [data[n] for n in order]
    open_file = module._files[str(tmp_path / "a.parquet")][1]
    assert len(open_file._blocks) <= module.WINDOWS_KEPT


def test_a_file_that_was_damaged_since_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", pa.binary(), jpegs(3))
    file.write_bytes(b"PAR1" + b"x" * 100)
    with pytest.raises(ImageError, match="damaged Parquet file"):
        read_uri(f"{file}/image/1")
