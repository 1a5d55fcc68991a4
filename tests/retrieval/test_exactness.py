"""Searches against a scan by hand: what a filter admits, how deep, in groups and page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rows import DIM, batch, row, spec, unit

from cbir import Gallery, Retriever, SearchResult, parse_where
from cbir.errors import FilterError
from cbir.filters import Compare, Exists
from cbir.indexes.hnsw import HnswIndex, HnswOptions
from cbir.indexes.local import LocalIndex
from cbir.reranking import QueryImage
from cbir.types import Hit, RerankScore

COUNT = 20_000
QUERY = 7
"""The id of the image that is asked with."""


def ids_of(result: SearchResult) -> list[int]:
    return [hit.image.id for hit in result.hits]


class Stock:
    """A gallery of random vectors, and what a scan by hand finds in it."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.retriever = Retriever(gallery)
        self.order = np.random.default_rng(0).permutation(COUNT)
        found = gallery.catalog.embeddings(range(1, COUNT + 1))
        self.vectors = np.stack([found[i] for i in range(1, COUNT + 1)])

    def scan(self, query: npt.NDArray[np.float32], admitted: npt.NDArray[np.bool_]) -> list[int]:
        """Ids of the admitted images, the nearest first."""
        similarities = np.where(admitted, self.vectors @ query, -np.inf)
        ids = np.argsort(-similarities, kind="stable")[: admitted.sum()] + 1
        return [int(i) for i in ids]

    def pages(self, size: int, count: int, **options: object) -> list[int]:
        """Ids of so many pages, one behind the other."""
        return [
            image_id
            for page in range(count)
            for image_id in ids_of(
                self.retriever.search(QUERY, k=size, offset=page * size, **options)  # type: ignore[arg-type]
            )
        ]


@pytest.fixture(scope="module", params=["flat", "hnsw", "ivf"])
def stock(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stock]:
    kind: str = request.param
    order = np.random.default_rng(0).permutation(COUNT)
    with Gallery.create(tmp_path_factory.mktemp(kind) / "g", spec(), index=kind) as gallery:
        rng = np.random.default_rng(1)
        vectors = rng.normal(size=(COUNT, DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = [
            row(f"/{i}", vectors[i], metadata={"n": int(order[i]), "product": int(order[i]) // 40})
            for i in range(COUNT)
        ]
        gallery.write("/s", batch(*rows))
        yield Stock(gallery)


@pytest.mark.parametrize("admitted", [0, 1, 4, 20, 200, 2_000, 10_000, COUNT])
def test_filtered_hits_are_those_of_a_full_scan(stock: Stock, admitted: int) -> None:
    where = parse_where([f"n<{admitted}"])
    query = unit(99)
    expected = stock.scan(query, stock.order < admitted)[:10]
    found = stock.gallery.search(query[None], 10, where=where)
    assert found.ids[0][found.ids[0] >= 0].tolist() == expected
    similarities = [float(stock.vectors[i - 1] @ query) for i in expected]
    # An index may round once more: of these few dimensions one may lie on the edge of two halves.
    assert found.similarities[0][: len(expected)] == pytest.approx(similarities, abs=1e-5)
    hits = stock.retriever.search(QUERY, k=10, where=where).hits
    rest = stock.scan(stock.vectors[QUERY - 1], (stock.order < admitted))
    assert [hit.image.id for hit in hits] == [i for i in rest if i != QUERY][:10]


def test_all_that_match_are_found_however_many_are_asked_for(stock: Stock) -> None:
    where = parse_where(["n<300"])
    result = stock.retriever.search(QUERY, k=1_000, where=where)
    expected = stock.scan(stock.vectors[QUERY - 1], stock.order < 300)
    assert ids_of(result) == [i for i in expected if i != QUERY]


def test_what_matches_and_is_not_in_the_index_yet_is_left_out(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock.gallery.image_index()
    known = parse_where(["n<50"])
    for where in (known, parse_where(["n<15000"])):
        before = stock.gallery.search(unit(5)[None], 60, where=where)
        with monkeypatch.context() as patch:
            patch.setattr(LocalIndex, "catch_up", lambda *_, **__: None)
            stock.gallery.write("/s", batch(row("/late", unit(5), metadata={"n": 0})))
            late = stock.gallery.catalog.find("/late")
            assert late is not None
            after = stock.gallery.search(unit(5)[None], 60, where=where)
        stock.gallery.catalog.remove([late.id])
        assert after.ids.tolist() == before.ids.tolist()


def test_pages_are_the_long_answer(stock: Stock) -> None:
    whole = ids_of(stock.retriever.search(QUERY, k=400))
    assert len(set(whole)) == 400
    assert stock.pages(16, 25) == whole
    assert ids_of(stock.retriever.search(QUERY, k=10)) == whole[:10]
    assert [h.rank for h in stock.retriever.search(QUERY, k=2, offset=5).hits] == [6, 7]


def test_pages_of_an_index_that_overlooks_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HnswIndex, "options", HnswOptions(ef_search=10, neighbours=4))
    with Gallery.create(tmp_path / "g", spec(96), index="hnsw") as gallery:
        gallery.write("/s", batch(*(row(f"/{i}", unit(i, 96)) for i in range(2_500))))
        retriever = Retriever(gallery)
        overlooked = 0
        for query in range(1, 8):
            whole = ids_of(retriever.search(query, k=300))
            exact = ids_of(retriever.search(query, k=300, exact=True))
            pages = [
                image_id
                for offset in range(0, 300, 30)
                for image_id in ids_of(retriever.search(query, k=30, offset=offset))
            ]
            assert pages == whole
            assert len(set(pages)) == 300
            overlooked += whole != exact
        assert overlooked


def test_pages_reach_every_image_once(stock: Stock) -> None:
    reached = stock.pages(7_000, 3)
    assert len(reached) == COUNT - 1
    assert set(reached) == set(range(1, COUNT + 1)) - {QUERY}
    assert stock.retriever.search(QUERY, offset=COUNT).hits == ()


def test_pages_of_a_filtered_grouped_search_with_a_bound(stock: Stock) -> None:
    options = {
        "where": Compare("n", "<", 12_000),
        "group_by": "product",
        "min_similarity": 0.3,
        "max_per_group": 2,
    }
    whole = ids_of(stock.retriever.search(QUERY, k=COUNT, **options))  # type: ignore[arg-type]
    assert stock.pages(97, 1 + len(whole) // 97, **options) == whole
    query = stock.vectors[QUERY - 1]
    taken: dict[int, int] = {}
    expected = []
    for image_id in stock.scan(query, stock.order < 12_000):
        product = int(stock.order[image_id - 1]) // 40
        enough = float(stock.vectors[image_id - 1] @ query) >= 0.3
        if image_id != QUERY and enough and taken.get(product, 0) < 2:
            taken[product] = taken.get(product, 0) + 1
            expected.append(image_id)
    assert whole == expected


def test_every_group_is_found(stock: Stock) -> None:
    result = stock.retriever.search(QUERY, k=1_000, group_by="product")
    products = [hit.image.metadata["product"] for hit in result.hits]
    assert sorted(products) == list(range(COUNT // 40))
    if stock.gallery.config.index == "flat":
        similarities = [hit.similarity for hit in result.hits]
        assert similarities == sorted(similarities, reverse=True)


def test_the_nearest_to_one_of_several(stock: Stock) -> None:
    several = [QUERY, 100, 2_000]
    found = stock.retriever.search(several, k=50, combine="best", exact=True)
    nearest = (stock.vectors @ stock.vectors[np.array(several) - 1].T).max(axis=1)
    expected = [i for i in (np.argsort(-nearest) + 1).tolist() if i not in several][:50]
    assert ids_of(found) == expected
    assert [hit.similarity for hit in found.hits] == pytest.approx(
        [float(nearest[i - 1]) for i in expected], abs=1e-6
    )


class Backwards:
    """A reranker that finds the last candidates best."""

    method = "backwards"
    depth = 30

    def close(self) -> None:
        pass

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        head = [
            replace(hit, rerank=RerankScore(self.method, -hit.similarity))
            for hit in hits[: self.depth]
        ]
        return head[::-1] + list(hits[self.depth :])


def test_behind_what_was_reranked_similarity_goes_on(stock: Stock) -> None:
    plain = ids_of(stock.retriever.search(QUERY, k=100))
    whole = ids_of(stock.retriever.search(QUERY, k=100, rerank=Backwards()))
    assert whole == plain[:30][::-1] + plain[30:]
    assert stock.pages(20, 5, rerank=Backwards()) == whole


def test_an_unknown_field_is_an_error_that_names_the_known(stock: Stock) -> None:
    with pytest.raises(FilterError, match=r"no image has a field 'prodct'.*'product'"):
        stock.retriever.search(QUERY, group_by="prodct")
    with pytest.raises(FilterError, match=r"known fields: n, product"):
        stock.retriever.search(QUERY, where=Exists("x"))


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_equal_images_come_by_id_whatever_the_page(tmp_path: Path, kind: str) -> None:
    with Gallery.create(tmp_path / "g", spec(), index=kind) as gallery:
        gallery.write("/s", batch(*(row(f"/{i}", unit(0)) for i in range(150))))
        gallery.write("/s", batch(*(row(f"/other{i}", unit(i)) for i in range(1, 60))))
        gallery.image_index()
        # Embedded anew: in the index these now come last, though their ids are small.
        gallery.write("/s", batch(*(row(f"/{i}", unit(0)) for i in range(0, 150, 3))))
        retriever = Retriever(gallery)
        pages = [
            image_id
            for page in range(15)
            for image_id in ids_of(retriever.search(200, k=10, offset=10 * page, exact=True))
        ]
        whole = ids_of(retriever.search(200, k=150, exact=True))
        assert pages == whole
        equal = [i for i in ids_of(retriever.search(1, k=149, exact=True)) if i <= 150]
        assert equal == list(range(2, 151))
        assert ids_of(retriever.search(1, k=5, exact=True)) == [2, 3, 4, 5, 6]
