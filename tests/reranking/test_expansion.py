"""Reranking by embeddings alone: query expansion and reciprocal neighbours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rows import batch, config, row, unit

from cbir.catalog.catalog import Catalog
from cbir.config import CATALOG_FILE
from cbir.gallery import Gallery
from cbir.reranking import QueryImage
from cbir.reranking.expansion import QueryExpansion
from cbir.reranking.reciprocal import KReciprocal, reciprocal_distances
from cbir.types import Hit


def angle(degrees: float, tilt: float = 0.0) -> npt.NDArray[np.float32]:
    """A unit vector in the plane of the first two of 16 dimensions, tilted out of it."""
    vector = np.zeros(16, np.float32)
    flat, up = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    vector[:3] = flat * np.cos(np.radians(degrees)), flat * np.sin(np.radians(degrees)), up
    return vector


@pytest.fixture
def arc(tmp_path: Path) -> Iterator[Gallery]:
    """Four images on an arc to one side of the query at 0°, and one to the other side."""
    catalog = Catalog.create(f"sqlite:///{tmp_path / CATALOG_FILE}", config())
    places = {"a": 10, "b": 20, "c": 30, "d": 42, "other": -40}
    rows = [row(f"/{name}.jpg", angle(place)) for name, place in places.items()]
    catalog.write("/", batch(*rows))
    with Gallery(tmp_path, catalog) as gallery:
        yield gallery


def hits_of(gallery: Gallery, query: npt.NDArray[np.float32]) -> list[Hit]:
    found = gallery.search(query[None], 5)
    records = gallery.catalog.records(found.ids[0].tolist())
    return [
        Hit(rank, records[i], float(similarity))
        for rank, (i, similarity) in enumerate(
            zip(found.ids[0].tolist(), found.similarities[0], strict=True), 1
        )
    ]


def asked(vector: npt.NDArray[np.float32]) -> QueryImage:
    def read() -> bytes:
        raise AssertionError("no image is needed")

    return QueryImage(None, vector, read)


def test_expansion_asks_for_what_the_first_have_in_common(arc: Gallery) -> None:
    query = angle(0)
    hits = hits_of(arc, query)
    assert [hit.image.name for hit in hits] == ["a.jpg", "b.jpg", "c.jpg", "other.jpg", "d.jpg"]
    reranked = QueryExpansion(arc, depth=5, neighbours=3).rerank(asked(query), hits)
    assert [hit.image.name for hit in reranked] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "other.jpg"]
    sines = [angle(p) * max(0.0, np.cos(np.radians(p))) ** 3 for p in (10, 20, 30)]
    expanded = query + np.sum(sines, axis=0)
    expected = float(expanded @ angle(10) / np.linalg.norm(expanded))
    assert reranked[0].rerank is not None
    assert reranked[0].rerank.score == pytest.approx(expected, abs=1e-3)


def test_an_image_that_has_left_meanwhile_is_no_hit(arc: Gallery) -> None:
    hits = hits_of(arc, angle(0))
    arc.remove([hits[0].image.id])
    for reranker in (QueryExpansion(arc, depth=3), KReciprocal(arc, depth=3)):
        reranked = reranker.rerank(asked(angle(0)), hits)
        assert hits[0].image.id not in [hit.image.id for hit in reranked]
        assert [hit.image.id for hit in reranked[-2:]] == [hit.image.id for hit in hits[-2:]]


def test_reciprocal_neighbours_outrank_a_nearer_stranger() -> None:
    """The stranger is a little nearer, but has a crowd of its own that is nearer to it."""
    group = [angle(20 + i, tilt=i) for i in range(5)]
    stranger = angle(-19)
    crowd = [angle(-20 - 0.2 * i) for i in range(8)]
    vectors = np.stack([angle(0), *group, stranger, *crowd])
    distances = reciprocal_distances(vectors, k1=6, k2=3)
    assert distances.shape == (14,)
    assert vectors[6] @ vectors[0] > vectors[1] @ vectors[0]
    assert distances[0] < distances[5]
    assert 0 <= distances.min() <= distances.max() <= 1.0001


def test_equal_vectors_have_no_distance() -> None:
    distances = reciprocal_distances(np.stack([unit(0)] * 4 + [unit(1)]))
    assert distances[:3] == pytest.approx(0.0, abs=1e-5)
    assert distances[3] > 0.1


def test_without_candidates_there_is_nothing_to_do(arc: Gallery) -> None:
    for reranker in (QueryExpansion(arc, depth=3), KReciprocal(arc, depth=3)):
        assert reranker.rerank(asked(angle(0)), []) == []
