"""The exact index: what only it does, beyond what every vector index must do."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rows import batch, config, row

from cbir.arrays import Vectors
from cbir.catalog.catalog import Catalog
from cbir.indexes import half_scan
from cbir.indexes.local import LocalIndex
from cbir.indexes.registry import IndexPlace
from cbir.indexes.row_file import RowFile

DIM = 96
COUNT = 9000
"""More than are read at once."""


def units(count: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config(dim=DIM))
    catalog.write("/", batch(*(row(f"/{i}", v) for i, v in enumerate(units(COUNT, 1)))))
    yield catalog
    catalog.close()


@pytest.fixture
def index(catalog: Catalog, tmp_path: Path) -> LocalIndex:
    index = LocalIndex(IndexPlace(tmp_path / "vectors", DIM))
    index.catch_up(catalog)
    return index


@pytest.mark.parametrize("queries", [1, half_scan.MANY_QUERIES])
@pytest.mark.parametrize("k", [1, 10, COUNT])
def test_it_ranks_as_the_catalogue_does(
    catalog: Catalog, index: LocalIndex, queries: int, k: int
) -> None:
    stored = catalog.embeddings(range(1, COUNT + 1))
    products = units(queries, 2) @ np.stack([stored[i + 1] for i in range(COUNT)]).T
    found = index.search(units(queries, 2), k)
    best = -np.sort(-products, axis=1)[:, :k]
    np.testing.assert_allclose(found.similarities, best, atol=2e-6)
    of_found = np.take_along_axis(products, found.ids - 1, axis=1)
    np.testing.assert_allclose(found.similarities, of_found, atol=2e-6)


def test_an_image_is_as_similar_to_itself_as_can_be(catalog: Catalog, index: LocalIndex) -> None:
    stored = catalog.embeddings([5, 8999])
    found = index.search(np.stack([stored[5], stored[8999]]), 1)
    assert found.ids[:, 0].tolist() == [5, 8999]
    np.testing.assert_allclose(found.similarities, 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(index.vectors(np.array([5])), axis=1), 1, atol=1e-6)


def test_adding_and_removing_leave_the_rows_where_they_are(
    catalog: Catalog, index: LocalIndex, tmp_path: Path
) -> None:
    def rows() -> tuple[Path, int]:
        (file,) = (tmp_path / "vectors").glob("rows-*")
        return file, file.stat().st_size

    file, size = rows()
    catalog.write("/", batch(*(row(f"/new{i}", v) for i, v in enumerate(units(10, 3)))))
    catalog.remove([1, 2, 3])
    index.catch_up(catalog)
    assert rows() == (file, size + 10 * 2 * DIM)
    again = LocalIndex(IndexPlace(tmp_path / "vectors", DIM))
    again.catch_up(catalog)
    assert again.ids().tolist() == index.ids().tolist() == list(range(4, COUNT + 11))
    assert again.search(units(10, 3), 1).ids[:, 0].tolist() == list(range(COUNT + 1, COUNT + 11))
    assert 1 not in again.search(units(1, 1), COUNT).ids


def test_without_views_it_finds_the_same(
    catalog: Catalog, index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index.search(units(3, 2), 20)
    monkeypatch.delattr("faiss.MaybeOwnedVectorUInt8")  # as FAISS was before 1.11
    after = index.search(units(3, 2), 20)
    assert after.ids.tolist() == before.ids.tolist()
    assert after.similarities.tolist() == before.similarities.tolist()


@pytest.mark.parametrize("kind", ["flat", "pq"])
@pytest.mark.parametrize("trouble", ["full disk", "no folder"])
def test_where_nothing_can_be_written_it_stays_in_memory(
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    trouble: str,
) -> None:
    monkeypatch.setattr("cbir.indexes.row_file.SPILL_BYTES", 100_000)
    if trouble == "full disk":
        written: list[object] = []
        write = RowFile._write

        def fill_up(rows: RowFile, readers: object) -> None:
            written.append(rows)
            if len(written) > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(rows, None)

        monkeypatch.setattr(RowFile, "_write", fill_up)
    else:
        (tmp_path / "vectors").write_text("in the way")
    catalog.change_config(lambda before: replace(before, index=kind))
    index = LocalIndex(IndexPlace(tmp_path / "vectors", DIM))
    index.catch_up(catalog)
    assert index.kind == kind
    assert index.count() == COUNT
    assert index.search(units(COUNT, 1)[[7, 8000]], 1).ids[:, 0].tolist() == [8, 8001]
    assert not (tmp_path / "vectors" / "index.json").exists()
