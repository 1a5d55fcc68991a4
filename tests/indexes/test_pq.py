"""The index that scans codes: what only it does, beyond what every vector index must do."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rows import batch, row

from cbir.arrays import Vectors
from cbir.catalog.catalog import Catalog
from cbir.config import EmbeddingSpec, GalleryConfig, Preprocessing
from cbir.indexes.index_files import load_manifest, saving
from cbir.indexes.local import LocalIndex
from cbir.indexes.registry import IndexPlace, resolve_kind

DIM = 128
COUNT = 4000
SOURCE = "/photos"


def clustered(count: int, seed: int) -> Vectors:
    """Unit vectors around a hundred centres, as embeddings of photographs are: (N, DIM)."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(100, DIM))
    vectors = centres[rng.integers(0, 100, count)] + 0.6 * rng.normal(size=(count, DIM))
    return np.asarray((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def fill(catalog: Catalog, vectors: Vectors, *, start: int = 0) -> None:
    catalog.write(SOURCE, batch(*(row(f"/{start + i}", v) for i, v in enumerate(vectors))))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    spec = EmbeddingSpec("tiny_image", "none", "none", DIM, Preprocessing(32, 32))
    catalog = Catalog.create(
        f"sqlite:///{tmp_path / 'catalog.sqlite'}", GalleryConfig(spec, index="pq")
    )
    yield catalog
    catalog.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


def opened(folder: Path, catalog: Catalog) -> LocalIndex:
    index = LocalIndex(IndexPlace(folder, DIM))
    index.catch_up(catalog)
    return index


def test_it_finds_what_a_full_scan_finds(catalog: Catalog, folder: Path) -> None:
    vectors, queries = clustered(COUNT, 1), clustered(100, 2)
    fill(catalog, vectors)
    index = opened(folder, catalog)
    assert index.kind == "pq"
    found, exact = index.search(queries, 10), index.search(queries, 10, exact=True)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10] + 1
    assert np.mean([len(set(a) & set(b)) for a, b in zip(exact.ids, truth, strict=True)]) > 9.98
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found.ids, truth, strict=True)]) >= 9.9
    np.testing.assert_allclose(found.similarities[:, 0], exact.similarities[:, 0], atol=1e-4)


def test_adding_appends_to_the_file(catalog: Catalog, folder: Path) -> None:
    fill(catalog, clustered(COUNT, 1))
    opened(folder, catalog).close()
    before = load_manifest(folder)
    fill(catalog, clustered(10, 2), start=COUNT)
    index = opened(folder, catalog)
    after = load_manifest(folder)
    assert before is not None
    assert after is not None
    assert after.parts["rows"].file == before.parts["rows"].file
    assert after.parts["rows"].size - before.parts["rows"].size == 10 * 2 * DIM
    again = opened(folder, catalog)
    for one in (index, again):
        assert one.search(clustered(10, 2), 1).ids[:, 0].tolist() == list(range(4001, 4011))


def test_searches_go_on_while_it_is_saved(
    catalog: Catalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog, clustered(COUNT, 1))
    index, added = opened(folder, catalog), clustered(10, 2)
    fill(catalog, added, start=COUNT)
    pool, found, sync = ThreadPoolExecutor(1), [], os.fsync

    def search_and_sync(file: int) -> None:
        answer = pool.submit(index.search, added, 1).result(timeout=5)
        found.append(answer.ids[:, 0].tolist())
        sync(file)

    monkeypatch.setattr(os, "fsync", search_and_sync)
    index.catch_up(catalog)
    monkeypatch.undo()
    pool.shutdown()
    assert len(found) > 2
    assert all(ids == list(range(4001, 4011)) for ids in found)
    assert opened(folder, catalog).search(added, 1).ids[:, 0].tolist() == found[0]


def test_what_was_removed_is_gone_at_once_and_after_reopening(
    catalog: Catalog, folder: Path
) -> None:
    vectors = clustered(COUNT, 1)
    fill(catalog, vectors)
    index = opened(folder, catalog)
    catalog.remove(range(1, 301))
    index.catch_up(catalog)
    for one in (index, opened(folder, catalog)):
        assert one.count() == COUNT - 300
        for exact in (False, True):
            assert one.search(vectors[:300], 5, exact=exact).ids.min() > 300


def test_many_removals_build_it_anew(catalog: Catalog, folder: Path) -> None:
    fill(catalog, clustered(COUNT, 1))
    index = opened(folder, catalog)
    catalog.remove(range(1, 1501))
    index.catch_up(catalog)
    manifest = load_manifest(folder)
    assert manifest is not None
    assert manifest.parts["rows"].size == (COUNT - 1500) * 2 * DIM


def test_two_processes_that_append_do_not_harm_each_other(catalog: Catalog, folder: Path) -> None:
    fill(catalog, clustered(COUNT, 1))
    one, other = opened(folder, catalog), opened(folder, catalog)
    fill(catalog, clustered(5, 2), start=COUNT)
    one.catch_up(catalog)
    fill(catalog, clustered(5, 3), start=COUNT + 5)
    other.catch_up(catalog)
    one.catch_up(catalog)
    for index in (one, other, opened(folder, catalog)):
        assert index.count() == COUNT + 10
        assert index.search(clustered(5, 3), 1).ids[:, 0].tolist() == list(range(4006, 4011))
        assert index.search(clustered(5, 2), 1).ids[:, 0].tolist() == list(range(4001, 4006))


def test_rows_of_a_killed_process_do_not_count(catalog: Catalog, folder: Path) -> None:
    fill(catalog, clustered(COUNT, 1))
    opened(folder, catalog).close()
    manifest = load_manifest(folder)
    assert manifest is not None
    with (folder / manifest.parts["rows"].file).open("ab") as file:
        file.write(os.urandom(1000))
    fill(catalog, clustered(5, 2), start=COUNT)
    for _ in range(2):
        index = opened(folder, catalog)
        assert index.search(clustered(5, 2), 1).ids[:, 0].tolist() == list(range(4001, 4006))


@pytest.mark.parametrize("stem", ["rows", "ids", "lengths", "sums", "codes"])
@pytest.mark.parametrize("damage", ["missing", "short", "flipped"])
def test_a_damaged_part_is_rebuilt(catalog: Catalog, folder: Path, stem: str, damage: str) -> None:
    vectors = clustered(COUNT, 1)
    fill(catalog, vectors)
    opened(folder, catalog).close()
    (path,) = folder.glob(f"{stem}-*")
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(data[:-3])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    for _ in range(2):
        index = opened(folder, catalog)
        assert index.search(vectors[:50], 1).ids[:, 0].tolist() == list(range(1, 51))
    assert len(list(folder.iterdir())) == 7


def test_while_another_process_saves_it_only_searches(catalog: Catalog, folder: Path) -> None:
    vectors = clustered(COUNT, 1)
    fill(catalog, vectors)
    with saving(folder) as alone:
        assert alone
        index = opened(folder, catalog)
        assert index.search(vectors[:1], 1).ids.tolist() == [[1]]
    assert load_manifest(folder) is None


def test_filters_are_exact(catalog: Catalog, folder: Path) -> None:
    vectors, queries = clustered(COUNT, 1), clustered(20, 2)
    fill(catalog, vectors)
    index = opened(folder, catalog)
    for part in (COUNT // 1000, COUNT // 100, COUNT // 10, COUNT // 2):
        allowed = np.sort(np.random.default_rng(part).permutation(COUNT)[:part]) + 1
        found = index.search(queries, 10, allowed=allowed)
        truth = -np.sort(-(queries @ vectors[allowed - 1].T), axis=1)[:, :10]
        np.testing.assert_allclose(found.similarities[:, : truth.shape[1]], truth, atol=2e-3)
        assert np.isin(found.ids[:, : truth.shape[1]], allowed).all()


def test_the_kind_follows_the_size_without_flapping() -> None:
    assert resolve_kind("auto", 1000, 1280) == "flat"
    assert resolve_kind("auto", 100_000, 1280) == "pq"
    assert resolve_kind("auto", 40_000, 1280) == "flat"
    assert resolve_kind("auto", 40_000, 1280, "pq") == "pq"
    assert resolve_kind("auto", 20_000, 1280, "pq") == "flat"
    assert resolve_kind("pq", 999, 1280) == "flat"
