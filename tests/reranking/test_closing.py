"""Whatever starts threads ends them when it is closed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from cbir import Gallery, Retriever
from cbir.reranking import RERANKERS, Reranker, SharedRerankers, open_reranker


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in left if name.startswith("cbir-rerank")] == []


@pytest.mark.parametrize("method", RERANKERS)
def test_twenty_rerankers_leave_no_thread(views: Path, retriever: Retriever, method: str) -> None:
    before = threading.active_count()
    for _ in range(20):
        with closing(open_reranker(method, retriever.gallery)) as reranker:
            assert retriever.search(views / "query.png", rerank=reranker).reranked == 5
    assert threading.active_count() <= before


def test_shared_rerankers_are_opened_once_and_closed_in_the_end(
    views: Path, retriever: Retriever
) -> None:
    shared = SharedRerankers(retriever.gallery)
    seen = set()
    for _ in range(3):
        with shared.use("sift", 3) as reranker:
            assert retriever.search(views / "query.png", rerank=reranker).reranked == 3
            seen.add(id(reranker))
    assert len(seen) == 1
    shared.close()


def test_the_one_unused_for_longest_is_closed(stocked: Gallery) -> None:
    shared = SharedRerankers(stocked, most=2)

    def used(depth: int) -> Reranker:
        with shared.use("ssim", depth) as reranker:
            return reranker

    first, second = used(1), used(2)
    assert used(1) is first
    used(3)
    assert used(1) is first
    assert used(2) is not second
    shared.close()


def test_one_in_use_is_closed_only_after_its_search(views: Path, retriever: Retriever) -> None:
    shared = SharedRerankers(retriever.gallery, most=1)
    with shared.use("sift", 5) as reranker:
        with shared.use("orb", 5):
            pass
        shared.close()
        assert retriever.search(views / "query.png", rerank=reranker).reranked == 5


def test_many_threads_share_them(views: Path, retriever: Retriever) -> None:
    shared = SharedRerankers(retriever.gallery, most=2)

    def search(depth: int) -> int:
        with shared.use("orb", 1 + depth % 4) as reranker:
            return retriever.search(views / "query.png", rerank=reranker).reranked

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, range(40))) == [1 + depth % 4 for depth in range(40)]
    shared.close()
