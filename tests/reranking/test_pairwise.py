from pathlib import Path

import pytest
from factories import encode, names, plain

from cbir import Gallery, Retriever
from cbir.errors import CbirError
from cbir.reranking import RERANKERS, open_reranker

PAIRWISE = ("sift", "orb", "ssim")


@pytest.mark.parametrize("method", ["sift", "orb"])
def test_the_same_object_comes_first_though_its_embedding_is_farther(
    views: Path, retriever: Retriever, method: str
) -> None:
    query = views / "query.png"
    plain_order = retriever.search(query)
    assert names(plain_order)[0] == "decoy.png"
    result = retriever.search(query, rerank=open_reranker(method, retriever.gallery))
    assert names(result)[0] == "coffee.png"
    first, second = result.hits[:2]
    assert first.similarity < second.similarity
    assert first.rerank is not None
    assert second.rerank is not None
    assert (first.rerank.inliers or 0) >= 20
    assert first.rerank.score > first.similarity
    assert second.rerank.score == second.similarity  # no evidence, no change
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4, 5]
    # Those without evidence stay in the order of their similarities.
    assert names(result)[1:] == [n for n in names(plain_order) if n != "coffee.png"]


def test_ssim_lifts_the_same_picture(views: Path, shelf: Path, retriever: Retriever) -> None:
    reranker = open_reranker("ssim", retriever.gallery)
    result = retriever.search((shelf / "chelsea.png").read_bytes(), rerank=reranker)
    scores = {
        hit.image.name: hit.rerank.score - hit.similarity for hit in result.hits if hit.rerank
    }
    assert scores.pop("chelsea.png") == pytest.approx(1.0, abs=0.05)
    assert set(scores.values()) == {0.0}
    assert {hit.rerank.inliers for hit in result.hits if hit.rerank} == {None}


@pytest.mark.parametrize("method", RERANKERS)
def test_k_and_depth_may_have_any_size(views: Path, retriever: Retriever, method: str) -> None:
    query = views / "query.png"
    for depth, k, found, judged in ((2, 5, 5, 2), (100, 100, 5, 5), (4, 1, 1, 4)):
        reranker = open_reranker(method, retriever.gallery, depth=depth)
        result = retriever.search(query, k=k, rerank=reranker)
        assert len(result.hits) == found
        assert result.reranked == judged
        assert [hit.rank for hit in result.hits] == list(range(1, found + 1))
        assert sum(hit.rerank is not None for hit in result.hits) == min(depth, found)
        assert set(result.timings_ms) == {"embed", "search", "rerank", "total"}


@pytest.mark.parametrize("method", RERANKERS)
def test_beyond_the_depth_the_order_stays(views: Path, retriever: Retriever, method: str) -> None:
    query = views / "query.png"
    reranker = open_reranker(method, retriever.gallery, depth=2)
    result = retriever.search(query, rerank=reranker)
    assert names(result)[2:] == names(retriever.search(query))[2:]
    assert set(names(result)[:2]) == set(names(retriever.search(query))[:2])


@pytest.mark.parametrize("method", RERANKERS)
def test_an_empty_gallery_gives_an_empty_result(gallery: Gallery, method: str) -> None:
    reranker = open_reranker(method, gallery)
    assert Retriever(gallery).search(encode(plain("red")), rerank=reranker).hits == ()


@pytest.mark.parametrize("method", RERANKERS)
def test_an_image_of_the_gallery_is_not_its_own_hit(
    shelf: Path, retriever: Retriever, method: str
) -> None:
    coffee = retriever.gallery.find(str(shelf / "coffee.png")).id
    result = retriever.search(coffee, rerank=open_reranker(method, retriever.gallery, depth=2))
    assert len(result.hits) == 4
    assert coffee not in [hit.image.id for hit in result.hits]


@pytest.mark.parametrize("method", PAIRWISE)
def test_a_candidate_that_cannot_be_read_keeps_its_similarity_and_says_why(
    views: Path, shelf: Path, retriever: Retriever, method: str
) -> None:
    (shelf / "decoy.png").unlink()
    (shelf / "chelsea.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    reranker = open_reranker(method, retriever.gallery)
    hits = {h.image.name: h for h in retriever.search(views / "query.png", rerank=reranker).hits}
    assert len(hits) == 5
    gone, changed = hits["decoy.png"], hits["chelsea.png"]
    assert gone.rerank is not None
    assert changed.rerank is not None
    assert gone.rerank.note == "cannot be read: No such file or directory"
    assert changed.rerank.note.startswith("changed since it was indexed; 'cbir index SOURCE'")
    assert gone.rerank.score == gone.similarity
    assert gone.rerank.inliers is None
    assert hits["rocket.png"].rerank is not None
    assert hits["rocket.png"].rerank.note == ""


@pytest.mark.parametrize("method", PAIRWISE)
def test_a_query_that_is_gone_leaves_the_order_as_it_was(
    shelf: Path, retriever: Retriever, method: str
) -> None:
    rocket = retriever.gallery.find(str(shelf / "rocket.png")).id
    (shelf / "rocket.png").unlink()
    result = retriever.search(rocket, rerank=open_reranker(method, retriever.gallery))
    assert names(result) == names(retriever.search(rocket))
    assert {hit.rerank.note for hit in result.hits if hit.rerank} == {
        "the query cannot be read: No such file or directory"
    }


def test_an_unknown_reranker_is_an_error(gallery: Gallery) -> None:
    with pytest.raises(CbirError, match=r"no reranker 'sfit'; did you mean 'sift'\?"):
        open_reranker("sfit", gallery)
    with pytest.raises(ValueError, match="at least one"):
        open_reranker("sift", gallery, depth=0)
