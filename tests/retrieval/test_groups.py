"""Hits in groups: what is one group, and how deep a search must go to find them all."""

from pathlib import Path
from typing import Any

import pytest
from rows import batch, row, spec, unit

from cbir import Gallery, Retriever, SearchResult
from cbir.errors import FilterError


def stock(path: Path, metadata: list[dict[str, Any]]) -> Gallery:
    gallery = Gallery.create(path, spec())
    rows = [row(f"/{i}", unit(i), metadata=m) for i, m in enumerate(metadata)]
    gallery.write("/s", batch(*rows))
    return gallery


def values(result: SearchResult) -> list[Any]:
    return [hit.image.metadata.get("g") for hit in result.hits]


def test_equal_values_of_one_type_are_a_group(tmp_path: Path) -> None:
    metadata = [{}, *({"g": g} for g in (1, 1.0, "1", True, True, "a", "a", ["a"], ["a"], None))]
    with stock(tmp_path / "g", metadata) as gallery:
        found = values(Retriever(gallery).search(1, k=50, group_by="g"))
        assert sorted(map(repr, found)) in (
            sorted(map(repr, [one, "1", True, "a", ["a"], ["a"], None])) for one in (1, 1.0)
        )
        twice = Retriever(gallery).search(1, k=50, group_by="g", max_per_group=2)
        assert len(twice.hits) == 10


def test_a_field_of_lists_makes_no_groups(tmp_path: Path) -> None:
    with (
        stock(tmp_path / "g", [{"tags": ["a"]}, {"tags": ["b"]}]) as gallery,
        pytest.raises(FilterError, match="'tags' holds lists; group by a field of single"),
    ):
        Retriever(gallery).search(1, group_by="tags")


@pytest.mark.parametrize("bare", [False, True])
def test_a_search_ends_when_every_group_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    metadata: list[dict[str, Any]] = [{"g": i % 3} for i in range(500)]
    if bare:
        metadata[499] = {}
    with stock(tmp_path / "g", metadata) as gallery:
        sizes: list[int] = []
        search = gallery.search

        def note(queries: Any, k: int, **options: Any) -> Any:
            sizes.append(k)
            return search(queries, k, **options)

        monkeypatch.setattr(gallery, "search", note)
        result = Retriever(gallery).search(1, k=4, group_by="g")
        assert len(result.hits) == (4 if bare else 3)
        # Only an image without the field may still lie deeper.
        assert (None in values(result)) is bare
        if not bare:
            assert max(sizes) < 100


def test_values_are_the_same_read_one_way_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata: list[dict[str, Any]] = [{"g": g} for g in (1, 1.5, "1", True, ["x"], "é,", "é,")]
    with stock(tmp_path / "g", [*metadata, {}]) as gallery:
        ids = list(range(1, 9))
        few = gallery.catalog.values("g", ids)
        monkeypatch.setattr("cbir.catalog.metadata.values.MANY_IMAGES", 0)
        assert gallery.catalog.values("g", ids) == few
        assert set(few) == {1, 2, 3, 4, 6, 7}
        assert few[6] == few[7]
        assert len(set(few.values())) == 5
        assert gallery.catalog.distinct("g") == -1
        gallery.catalog.remove([5, 8])
        assert gallery.catalog.distinct("g") == 5
