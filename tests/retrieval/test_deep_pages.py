"""A deep page reads its own records, and none of those before it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rows import DIM, batch, row, spec, unit

from cbir import Gallery, Retriever
from cbir.catalog.catalog import Catalog

COUNT = 400


@pytest.fixture
def stock(tmp_path: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / "g", spec(DIM), index="flat")
    gallery.write(
        "/s", batch(*(row(f"/{i}", unit(i), metadata={"g": i % 90}) for i in range(COUNT)))
    )
    return gallery


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the records that are read, as they come."""
    ids: list[int] = []
    records = Catalog.records

    def note(self: Catalog, wanted: Iterable[int]) -> Any:
        wanted = list(wanted)
        ids.extend(wanted)
        return records(self, wanted)

    monkeypatch.setattr(Catalog, "records", note)
    return ids


@pytest.mark.parametrize("options", [{}, {"group_by": "g", "max_per_group": 5}, {"exact": True}])
def test_a_page_reads_its_own_records(
    stock: Gallery, read: list[int], statements: list[str], options: dict[str, Any]
) -> None:
    retriever = Retriever(stock)
    whole = retriever.search(7, k=COUNT, **options)
    for offset in (0, 10, 200, 380):
        read.clear()
        statements.clear()
        page = retriever.search(7, k=10, offset=offset, **options)
        assert page.hits == whole.hits[offset : offset + 10]
        assert page.matched == whole.matched
        assert len(read) <= 10
        assert len([s for s in statements if s.startswith("SELECT")]) <= 10
    assert retriever.search(7, k=10, offset=COUNT, **options).hits == ()


def test_reranked_candidates_are_read_as_well(stock: Gallery, read: list[int]) -> None:
    with Retriever(stock) as retriever:
        whole = retriever.search(7, k=COUNT, rerank="aqe", depth=20)
        for offset in (0, 15, 30, 300):
            read.clear()
            page = retriever.search(7, k=10, offset=offset, rerank="aqe", depth=20)
            assert page.hits == whole.hits[offset : offset + 10]
            assert page.reranked == whole.reranked == 20
            assert len(read) <= 20 + 10


def test_what_has_left_the_catalogue_shifts_later_pages(
    stock: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index may still hold what is gone: a page begins behind as many that are there."""
    retriever = Retriever(stock)
    order = [hit.image.id for hit in retriever.search(7, k=COUNT).hits]
    index = stock.index()
    monkeypatch.setattr(stock, "index", lambda: index)
    monkeypatch.setattr(type(index), "catch_up", lambda *_, **__: None)
    stock.catalog.remove(order[:5])
    pages = [
        hit.image.id
        for offset in range(0, 60, 10)
        for hit in retriever.search(7, k=10, offset=offset).hits
    ]
    assert pages == order[5:65]
