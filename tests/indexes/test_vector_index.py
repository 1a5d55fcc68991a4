"""What every vector index must do, run over all of them: each kind in the registry, two kinds from
outside, images with regions, the scan of the catalogue, and the index that never waits."""

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import outside_index
import pytest
from rows import DIM, batch, config, row, unit

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import ImageRow
from cbir.config import Whitening
from cbir.embedding.whitening import Projection
from cbir.errors import FilterError
from cbir.filters import Compare
from cbir.indexes.catalog_scan import CatalogScan
from cbir.indexes.faiss_structure import FaissStructure
from cbir.indexes.index_or_scan import IndexOrScan
from cbir.indexes.local import LocalIndex
from cbir.indexes.pq import PqIndex, PqOptions
from cbir.indexes.protocol import VectorIndex
from cbir.indexes.regions import RegionIndex
from cbir.indexes.registry import (
    AUTO,
    INDEXES,
    LOCAL,
    IndexInfo,
    IndexPlace,
    choices,
    open_index,
    opened_by,
)

SOURCE = "/photos"
REGIONS = 1
"""Of every image, and just like the whole: what an index of wholes finds, one with regions finds
once, too."""
MANY = 1500
"""Enough images for an inverted file to be built."""

OUTSIDE = (
    IndexInfo(
        name="dict",
        help="a dictionary in files",
        structure="outside_index:DictStructure",
        exact=True,
    ),
    IndexInfo(
        name="server",
        help="vectors elsewhere",
        index="outside_index:ServerIndex",
        exact=True,
    ),
)
LOCAL_KINDS = tuple(kind for kind in choices() if opened_by(kind) == LOCAL)
WITH_REGIONS = "-with-regions"
SCAN, NEVER_WAITS = "scan", "never-waits"
LOCAL_CASES = [*LOCAL_KINDS, *(kind + WITH_REGIONS for kind in LOCAL_KINDS if kind != AUTO)]
CASES = [
    *choices(),
    *(kind.name for kind in OUTSIDE),
    *(kind + WITH_REGIONS for kind in INDEXES),
    *(kind.name + WITH_REGIONS for kind in OUTSIDE),
    SCAN,
    NEVER_WAITS,
]

Opener = Callable[[], VectorIndex]


@pytest.fixture(autouse=True)
def outside_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_index.ServerIndex, "servers", {})
    monkeypatch.setattr(outside_index.ServerIndex, "states", {})
    for kind in OUTSIDE:
        monkeypatch.setitem(INDEXES, kind.name, kind)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """Tests of files are of local cases only, and say so by their own parameters."""
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, case: str) -> Path:
    """Where the files of the index are; with regions, where those of the regions are."""
    return tmp_path / ("regions" if case.endswith(WITH_REGIONS) else "vectors")


@pytest.fixture
def catalog(tmp_path: Path, case: str) -> Iterator[Catalog]:
    kind = case.removesuffix(WITH_REGIONS)
    made = config("flat" if kind in (SCAN, NEVER_WAITS) else kind)
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", made)
    yield catalog
    catalog.close()


@pytest.fixture
def opener(tmp_path: Path, catalog: Catalog, case: str) -> Opener:
    def opened() -> VectorIndex:
        if case == SCAN:
            return CatalogScan(catalog)
        kind = catalog.config.index
        whole = open_index(kind, IndexPlace(tmp_path / "vectors", DIM))
        if case == NEVER_WAITS:
            return IndexOrScan(whole, catalog)
        if not case.endswith(WITH_REGIONS):
            return whole
        regions = open_index(kind, IndexPlace(tmp_path / "regions", DIM, REGIONS))
        return RegionIndex(whole, regions, REGIONS)

    return opened


def local(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test over the kinds that are kept in files."""
    of_local: Callable[..., None] = pytest.mark.parametrize("case", LOCAL_CASES)(test)
    return of_local


@cache
def image(uri: str, seed: int) -> ImageRow:
    """An image whose regions look as it does; an index without regions takes no notice of them."""
    return row(uri, unit(seed), regions=np.stack([unit(seed)] * REGIONS))


def fill(catalog: Catalog, count: int = MANY, *, start: int = 0) -> None:
    catalog.write(SOURCE, batch(*(image(f"/{i}", i) for i in range(start, start + count))))


def nearest(index: VectorIndex, seed: int) -> int:
    return int(index.search(unit(seed)[None], 1).ids[0, 0])


def test_an_empty_gallery_finds_nothing(catalog: Catalog, opener: Opener) -> None:
    index = opener()
    index.catch_up(catalog)
    found = index.search(np.stack([unit(1), unit(2)]), 3)
    assert index.count() == 0
    assert found.ids.tolist() == [[-1] * 3] * 2


def test_a_result_shorter_than_k_is_padded(catalog: Catalog, opener: Opener) -> None:
    fill(catalog, 2)
    index = opener()
    index.catch_up(catalog)
    found = index.search(unit(0)[None], 4)
    assert found.ids[0, 0] == 1
    assert found.ids[0, 2:].tolist() == [-1, -1]
    assert np.isneginf(found.similarities[0, 2:]).all()


def test_it_agrees_with_a_full_scan(catalog: Catalog, opener: Opener) -> None:
    fill(catalog)
    index = opener()
    index.catch_up(catalog)
    vectors = np.stack([unit(i) for i in range(MANY)])
    queries = np.stack([unit(10_000 + i) for i in range(50)])
    expected = np.argsort(-(queries @ vectors.T), axis=1)[:, :10] + 1
    exact = index.search(queries, 10, exact=True)
    # Half precision swaps near ties, nothing more.
    assert np.mean([len(set(a) & set(b)) for a, b in zip(exact.ids, expected, strict=True)]) > 9.9
    found = index.search(queries, 10)
    recall = np.mean([len(set(a) & set(b)) for a, b in zip(found.ids, exact.ids, strict=True)]) / 10
    assert recall >= 0.95
    assert (np.diff(found.similarities, axis=1) <= 0).all()


def test_catching_up_twice_changes_nothing(catalog: Catalog, opener: Opener) -> None:
    fill(catalog, 20)
    index = opener()
    index.catch_up(catalog)
    before = index.search(unit(3)[None], 5)
    index.catch_up(catalog)
    after = index.search(unit(3)[None], 5)
    assert index.count() == 20
    assert before.ids.tolist() == after.ids.tolist()


def test_changes_are_seen_after_a_catch_up(catalog: Catalog, opener: Opener) -> None:
    fill(catalog)
    index = opener()
    index.catch_up(catalog)
    catalog.remove([1])
    catalog.write(SOURCE, batch(image("/1", 77_777), image("/new", 88_888)))
    index.catch_up(catalog)
    assert index.count() == MANY
    assert nearest(index, 0) != 1
    assert nearest(index, 77_777) == 2
    assert nearest(index, 88_888) == MANY + 1
    assert len(np.unique(index.ids())) == MANY


def test_vectors_come_back_as_stored(catalog: Catalog, opener: Opener) -> None:
    fill(catalog)
    index = opener()
    index.catch_up(catalog)
    catalog.remove([5])
    index.catch_up(catalog)
    ids = np.array([9, 3], np.int64)
    np.testing.assert_allclose(index.vectors(ids), np.stack([unit(8), unit(2)]), atol=1e-3)
    with pytest.raises(KeyError):
        index.vectors(np.array([5], np.int64))


@local
def test_another_process_opens_what_was_saved(
    catalog: Catalog, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog)
    opener().catch_up(catalog)
    monkeypatch.setattr(LocalIndex, "_build", None)  # building again would fail
    index = opener()
    index.catch_up(catalog)
    assert index.count() == MANY
    assert nearest(index, 5) == 6


def test_a_second_opener_follows_the_first(catalog: Catalog, opener: Opener) -> None:
    one, two = opener(), opener()
    fill(catalog, 30)
    one.catch_up(catalog)
    two.catch_up(catalog)
    fill(catalog, 30, start=30)
    two.catch_up(catalog)
    one.catch_up(catalog)
    assert one.count() == two.count() == 60
    assert nearest(one, 45) == nearest(two, 45) == 46


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@local
@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _flip, _empty])
@pytest.mark.parametrize("number", range(5))
def test_a_damaged_file_is_rebuilt_silently(
    catalog: Catalog, opener: Opener, folder: Path, damage: Callable[[Path], None], number: int
) -> None:
    fill(catalog, 50)
    opener().catch_up(catalog)
    files = sorted(path for path in folder.iterdir() if path.name != "lock")
    damage(files[number % len(files)])
    for _ in range(2):
        index = opener()
        index.catch_up(catalog)
        assert index.count() == 50
        assert nearest(index, 7) == 8
    assert len([path for path in folder.iterdir() if path.name != "lock"]) == len(files)


@local
def test_an_index_of_another_gallery_is_not_used(
    catalog: Catalog, opener: Opener, tmp_path: Path
) -> None:
    other = Catalog.create(f"sqlite:///{tmp_path / 'other.sqlite'}", config())
    fill(other, 10, start=500)
    opener().catch_up(other)
    other.close()
    fill(catalog, 10)
    index = opener()
    index.catch_up(catalog)
    assert nearest(index, 3) == 4


@local
def test_an_index_ahead_of_a_restored_catalogue_is_rebuilt(
    catalog: Catalog, opener: Opener, folder: Path
) -> None:
    fill(catalog, 10)
    opener().catch_up(catalog)
    manifest = folder / "index.json"
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(data | {"generation": data["generation"] + 5}))
    index = opener()
    index.catch_up(catalog)
    assert index.count() == 10
    assert json.loads(manifest.read_text())["generation"] == catalog.generation()


@local
def test_a_folder_that_cannot_be_written_still_searches(
    catalog: Catalog,
    opener: Opener,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    caplog.set_level(logging.WARNING, "cbir.indexes.local")
    fill(catalog, 10)
    monkeypatch.setattr("cbir.indexes.index_files._write_synced", refuse)
    index = opener()
    index.catch_up(catalog)
    assert nearest(index, 3) == 4
    assert "not saved" in caplog.text


@local
def test_a_kill_between_the_two_files_leaves_the_old_pair(
    catalog: Catalog, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog, 10)
    opener().catch_up(catalog)
    fill(catalog, 10, start=10)

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        with pytest.raises(Killed):
            opener().catch_up(catalog)
    index = opener()
    index.catch_up(catalog)
    assert index.count() == 20


def test_rebuild_reads_everything_again(catalog: Catalog, opener: Opener) -> None:
    fill(catalog, 25)
    index = opener()
    index.catch_up(catalog)
    index.catch_up(catalog, rebuild=True)
    assert index.count() == 25
    assert nearest(index, 24) == 25


@pytest.mark.parametrize("case", [kind for kind in INDEXES if INDEXES[kind].min_count])
def test_a_kind_that_is_trained_is_built_once_there_are_enough(
    catalog: Catalog, opener: Opener, case: str
) -> None:
    index = opener()
    fill(catalog, 100)
    index.catch_up(catalog)
    assert (index.kind, index.exact) == ("flat", True)
    fill(catalog, MANY, start=100)
    index.catch_up(catalog)
    assert (index.kind, index.exact) == (case, False)


@pytest.mark.parametrize("count", [0, 1, 700, MANY])
def test_only_ids_that_are_allowed_are_found(
    catalog: Catalog, opener: Opener, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    fill(catalog)
    index = opener()
    index.catch_up(catalog)
    chosen = np.sort(np.random.default_rng(0).choice(MANY, count, replace=False)) + 1
    # Ids beyond those of the index: images that were committed after it caught up.
    allowed = np.concatenate([chosen, [MANY + 5, MANY + 9]]).astype(np.int64)
    queries = np.stack([unit(10_000 + i) for i in range(3)])
    stored = index.vectors(chosen) if count else np.empty((0, DIM), np.float32)
    for few in (10 * MANY, 0):  # gathered and compared, and scanned past the others
        monkeypatch.setattr(FaissStructure, "gathered_images", few)
        monkeypatch.setattr(FaissStructure, "gathered_part", MANY * 10)
        found = index.search(queries, 10, allowed=allowed)
        expected = chosen[np.argsort(-(queries @ stored.T), axis=1)[:, :10]]
        kept = min(10, count)
        assert found.ids[:, :kept].tolist() == expected.tolist()
        assert (found.ids[:, kept:] == -1).all()
        assert np.isneginf(found.similarities[:, kept:]).all()
        best = -np.sort(-(queries @ stored.T), axis=1)[:, :10]
        np.testing.assert_allclose(found.similarities[:, :kept], best, atol=1e-6)


def test_a_filter_admits_what_it_matches(catalog: Catalog, opener: Opener) -> None:
    rows = [image(f"/{i}", i) for i in range(40)]
    catalog.write(SOURCE, batch(*(replaced(r, {"n": i}) for i, r in enumerate(rows))))
    index = opener()
    index.catch_up(catalog)
    queries = np.stack([unit(30), unit(3)])
    found = index.search(queries, 5, allowed=Compare("n", "<", 4))
    assert np.sort(found.ids, axis=1).tolist() == [[-1, 1, 2, 3, 4]] * 2
    assert found.ids[1, 0] == 4
    by_ids = index.search(queries, 5, allowed=catalog.matching(Compare("n", "<", 4)))
    assert by_ids.ids.tolist() == found.ids.tolist()
    with pytest.raises(FilterError, match="no image has a field 'm'"):
        index.search(queries, 5, allowed=Compare("m", "<", 4))


def test_it_knows_whether_it_is_current(catalog: Catalog, opener: Opener, case: str) -> None:
    index = opener()
    index.catch_up(catalog)
    assert index.is_current(catalog)
    assert index.generation == catalog.generation()
    fill(catalog, 5)
    assert index.is_current(catalog) == (case == SCAN)
    index.catch_up(catalog)
    assert index.is_current(catalog)
    assert index.generation == catalog.generation()


@local
def test_current_files_are_current_before_they_are_read(
    catalog: Catalog, opener: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog, 20)
    opener().catch_up(catalog)
    monkeypatch.setattr(LocalIndex, "_load", None)
    assert opener().is_current(catalog)
    next(path for path in folder.iterdir() if path.suffix in (".bin", ".faiss")).unlink()
    assert not opener().is_current(catalog)


def test_vectors_are_projected_as_the_gallery_decides(catalog: Catalog, opener: Opener) -> None:
    fill(catalog, 60)
    index = opener()
    index.catch_up(catalog)
    assert index.projection is None
    projection = Projection(np.full(DIM, 0.1, np.float32), np.eye(DIM, dtype=np.float32)[:5])
    catalog.set_whitening(Whitening(fitted=projection.digest), projection)
    index.catch_up(catalog)
    for one in (index, caught_up(opener(), catalog)):
        assert one.projection is not None
        assert one.projection.digest == projection.digest
        expected = projection.apply(np.stack([unit(i) for i in (8, 2)]))
        np.testing.assert_allclose(one.project(np.stack([unit(8), unit(2)])), expected, atol=1e-3)
        np.testing.assert_allclose(one.vectors(np.array([9, 3])), expected, atol=2e-3)
        assert one.search(expected[:1], 1).ids.tolist() == [[9]]
        assert one.search(unit(8)[None], 1, projected=False).ids.tolist() == [[9]]


def test_it_has_regions_or_says_that_it_has_none(
    catalog: Catalog, opener: Opener, case: str
) -> None:
    fill(catalog, 20)
    index = caught_up(opener(), catalog)
    ids = np.array([9, 3])
    plain = index.vectors(ids, np.array([0, 0]))
    np.testing.assert_allclose(plain, index.vectors(ids), atol=1e-6)
    if case.endswith(WITH_REGIONS):
        np.testing.assert_allclose(index.vectors(ids, np.array([0, 1])), plain, atol=1e-3)
    else:
        with pytest.raises(KeyError):
            index.vectors(ids, np.array([0, 1]))


def test_the_index_that_never_waits_scans_until_it_has_caught_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config("hnsw"))
    index = IndexOrScan(open_index("hnsw", IndexPlace(tmp_path / "vectors", DIM)), catalog)
    fill(catalog, 10)
    assert (index.kind, index.exact, index.count(), nearest(index, 3)) == ("scan", True, 10, 4)
    assert not index.is_current(catalog)
    index.catch_up(catalog)
    assert (index.kind, index.exact, index.count(), nearest(index, 3)) == ("hnsw", False, 10, 4)
    fill(catalog, 10, start=10)
    assert index.count() == 10  # as it last was
    index.close()
    catalog.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux does")
def test_nothing_is_left_open(
    catalog: Catalog, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_shards = PqOptions(shard_rows=MANY // 2, candidates=20)  # scanned by two threads
    monkeypatch.setattr(PqIndex, "options", two_shards)
    monkeypatch.setattr("cbir.indexes.pq.available_cores", lambda: 2)
    fill(catalog)

    def use() -> None:
        index = caught_up(opener(), catalog)
        index.search(np.stack([unit(1), unit(2)]), 3)
        index.search(unit(1)[None], 3, allowed=np.array([4, 5]), exact=True)
        index.close()

    use()
    before = open_things()
    for _ in range(20):
        use()
    assert open_things() == before


def open_things() -> tuple[set[str], int]:
    """Threads of ours, and how many descriptors this process has."""
    threads = {thread.name for thread in threading.enumerate()}
    return threads, sum(1 for _ in Path("/proc/self/fd").iterdir())


def caught_up(index: VectorIndex, catalog: Catalog) -> VectorIndex:
    index.catch_up(catalog)
    return index


def replaced(image: ImageRow, metadata: dict[str, int]) -> ImageRow:
    return replace(image, metadata=metadata)
