from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rows import batch, config, row, unit

from cbir.catalog.catalog import Catalog
from cbir.catalog.engine import connect
from cbir.catalog.row_cache import CommitWatcher, RowCache


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Catalog, Catalog]]:
    """Two who have opened one catalogue of three images."""
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    first, second = Catalog.create(url, config()), Catalog.open(url)
    first.write("/s", batch(*(row(f"/{i}", unit(i)) for i in range(1, 4))))
    yield first, second
    first.close()
    second.close()


def test_what_is_known_is_not_read_again(
    two: tuple[Catalog, Catalog], statements: list[str]
) -> None:
    reader, _ = two
    before = reader.records([3, 1]), reader.embeddings([2]), reader.generation()
    statements.clear()
    again = reader.records([3, 1]), reader.embeddings([2]), reader.generation()
    assert statements == []
    assert list(again[0]) == [3, 1]
    assert (again[0], again[2]) == (before[0], before[2])
    assert list(reader.records([3, 2, 1])) == [3, 2, 1]
    assert sum("SELECT" in statement for statement in statements) == 1


@pytest.mark.parametrize("writer", [0, 1])
def test_a_commit_of_anybody_is_seen_at_once(two: tuple[Catalog, Catalog], writer: int) -> None:
    reader = two[0]
    for price in (1, 2, 3):  # describing takes no generation
        two[writer].change_metadata(1, {"price": price})
        assert reader.records([1])[1].metadata == {"price": price}
    two[writer].write("/s", batch(row("/2", unit(9))))
    assert reader.embeddings([2])[2] == pytest.approx(unit(9), abs=1e-3)
    two[writer].remove([3])
    assert reader.records([2, 3]).keys() == {2}
    assert reader.generation() == two[1].generation() == 3


def test_the_last_ones_asked_for_are_kept(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def read(keys: Sequence[int]) -> dict[int, str]:
        asked.append(list(keys))
        return {key: str(key) for key in keys if key < 100}

    commits = CommitWatcher(connect(f"sqlite:///{tmp_path / 'any.sqlite'}"))
    cache = RowCache(commits, read, most=4)
    for keys in ([1, 2], [3, 4], [2, 1], [5], [1, 3], [200], [200], [1, 2, 3], [1]):
        assert cache.get(keys) == {key: str(key) for key in keys if key < 100}
    # 3 had to go for 5, then 4 for 3; what is not there is asked for again; so many are not cached.
    assert asked == [[1, 2], [3, 4], [5], [3], [200], [200], [1, 2, 3]]
    commits.close()


def test_where_commits_cannot_be_told_nothing_is_kept(
    two: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    monkeypatch.setattr(CommitWatcher, "last", lambda _: None)
    for _ in range(2):
        statements.clear()
        assert two[0].generation() == 1
        assert len(two[0].records([1, 2])) == 2
        assert sum("SELECT" in statement for statement in statements) == 2


def test_a_closed_catalogue_reads_on(two: tuple[Catalog, Catalog]) -> None:
    two[0].close()
    assert two[0].generation() == 1
