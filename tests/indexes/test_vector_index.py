"""What every vector index must do, run over all of them."""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rows import DIM, batch, config, row, unit

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import ImageRow
from cbir.config import IndexKind
from cbir.indexes.local import LocalIndex
from cbir.indexes.regions import RegionIndex

SOURCE = "/photos"
KINDS: tuple[IndexKind, ...] = ("auto", "flat", "hnsw", "ivf", "pq")
REGIONS = 1
"""Of every image, and just like the whole: what an index of wholes finds, one with regions finds
once, too."""
MANY = 1500
"""Enough images for an inverted file to be built."""

Index = LocalIndex | RegionIndex
Opener = Callable[[], Index]


@pytest.fixture(
    params=[(kind, 0) for kind in KINDS] + [(kind, REGIONS) for kind in KINDS if kind != "auto"],
    ids=lambda param: f"{param[0]}-with-regions" if param[1] else param[0],
)
def kind_and_regions(request: pytest.FixtureRequest) -> tuple[IndexKind, int]:
    kind, regions = request.param
    return kind, regions


@pytest.fixture
def folder(tmp_path: Path, kind_and_regions: tuple[IndexKind, int]) -> Path:
    """Where the files of the index are; with regions, where those of the regions are."""
    return tmp_path / ("regions" if kind_and_regions[1] else "vectors")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}", config())
    yield catalog
    catalog.close()


@pytest.fixture
def opener(tmp_path: Path, kind_and_regions: tuple[IndexKind, int]) -> Opener:
    kind, regions = kind_and_regions

    def opened() -> Index:
        whole = LocalIndex(tmp_path / "vectors", DIM, kind)
        if not regions:
            return whole
        return RegionIndex(whole, tmp_path / "regions", DIM, kind, regions=regions)

    return opened


@cache
def image(uri: str, seed: int) -> ImageRow:
    """An image whose regions look as it does; an index without regions takes no notice of them."""
    return row(uri, unit(seed), regions=np.stack([unit(seed)] * REGIONS))


def fill(catalog: Catalog, count: int = MANY, *, start: int = 0) -> None:
    catalog.write(SOURCE, batch(*(image(f"/{i}", i) for i in range(start, start + count))))


def nearest(index: Index, seed: int) -> int:
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


def test_an_index_ahead_of_a_restored_catalogue_is_rebuilt(
    catalog: Catalog, opener: Opener, folder: Path
) -> None:
    fill(catalog, 10)
    opener().catch_up(catalog)
    header = folder / "index.json"
    data = json.loads(header.read_text())
    header.write_text(json.dumps(data | {"generation": data["generation"] + 5}))
    index = opener()
    index.catch_up(catalog)
    assert index.count() == 10
    assert json.loads(header.read_text())["generation"] == catalog.generation()


def test_a_folder_that_cannot_be_written_still_searches(
    catalog: Catalog,
    opener: Opener,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    fill(catalog, 10)
    monkeypatch.setattr("cbir.indexes.index_files._write_synced", refuse)
    index = opener()
    index.catch_up(catalog)
    assert nearest(index, 3) == 4
    assert "not saved" in caplog.text


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


def test_an_inverted_file_is_built_once_there_are_enough(catalog: Catalog, tmp_path: Path) -> None:
    index = LocalIndex(tmp_path / "vectors", DIM, "ivf")
    fill(catalog, 100)
    index.catch_up(catalog)
    before = index.kind
    fill(catalog, MANY, start=100)
    index.catch_up(catalog)
    assert (before, index.kind) == ("flat", "ivf")


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
        monkeypatch.setattr("cbir.indexes.faiss_structures.FEW_IMAGES", few)
        monkeypatch.setattr("cbir.indexes.faiss_structures.FEW_PART", MANY * 10)
        found = index.search(queries, 10, allowed=allowed)
        expected = chosen[np.argsort(-(queries @ stored.T), axis=1)[:, :10]]
        kept = min(10, count)
        assert found.ids[:, :kept].tolist() == expected.tolist()
        assert (found.ids[:, kept:] == -1).all()
        assert np.isneginf(found.similarities[:, kept:]).all()
        best = -np.sort(-(queries @ stored.T), axis=1)[:, :10]
        np.testing.assert_allclose(found.similarities[:, :kept], best, atol=1e-6)
