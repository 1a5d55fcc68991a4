"""Rankings to evaluate: for each query, the images of a gallery in the order of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cbir.evaluation.ground_truth import JudgedQuery
from cbir.retrieval import Query, Retriever
from cbir.types import SearchResult

if TYPE_CHECKING:
    import numpy.typing as npt

    from cbir.arrays import Ids, Vectors

__all__ = ["Ranking", "Search", "embedding_rankings", "search_rankings"]

Search: TypeAlias = Callable[[Query, int], SearchResult]
"""A search function: (query, number of images to find) → result."""

QUERIES_AT_ONCE = 256
SIMILARITIES_AT_ONCE = 4_000_000
"""Bounds the memory of a batch of whole rankings: some 100 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The ranked images of one query, without junk."""

    query: JudgedQuery
    relevant: npt.NDArray[np.bool_]
    """(n,) in ranked order."""
    similarities: Vectors
    """(n,) cosine similarities, even if the order is that of a reranker."""


def embedding_rankings(
    retriever: Retriever, queries: Sequence[JudgedQuery], *, depth: int | None, exact: bool
) -> Iterator[Ranking]:
    """Rankings of the gallery by similarity of embeddings, to `depth` or whole, many at once.

    Queries by id use their stored embedding. Raises ImageError for a query file that cannot be
    read, NotFoundError for one that has left the gallery.
    """
    gallery = retriever.gallery
    count = gallery.count()
    start = 0
    while start < len(queries):
        size = max(1, min(QUERIES_AT_ONCE, SIMILARITIES_AT_ONCE // max(1, count)))
        block = queries[start : start + size]
        vectors = _embed(retriever, block)
        nearest = gallery.search(vectors, _enough(block, depth, count), exact=exact)
        for query, ids, similarities in zip(block, nearest.ids, nearest.similarities, strict=True):
            present = ids >= 0
            yield _judge(query, ids[present], similarities[present], depth)
        start += size


def search_rankings(
    search: Search, queries: Sequence[JudgedQuery], *, depth: int | None, count: int
) -> Iterator[Ranking]:
    """Rankings of a gallery of `count` images by `search`, one query at a time."""
    for query in queries:
        hits = search(query.as_query(), _enough([query], depth, count)).hits
        ids = np.array([hit.image.id for hit in hits], dtype=np.int64)
        similarities = np.array([hit.similarity for hit in hits], dtype=np.float32)
        yield _judge(query, ids, similarities, depth)


def _embed(retriever: Retriever, queries: Sequence[JudgedQuery]) -> Vectors:
    """The embeddings of queries: (Q, D); the stored ones are read by one statement."""
    ids = [query.image for query in queries if isinstance(query.image, int)]
    stored = retriever.gallery.catalog.embeddings(ids)
    return np.stack(
        [
            stored[query.image]
            if isinstance(query.image, int) and query.image in stored
            else retriever.embed(query.as_query())
            for query in queries
        ]
    )


def _enough(queries: Sequence[JudgedQuery], depth: int | None, count: int) -> int:
    """Number of images to search for, so that `depth` remain without junk."""
    junk = max(len(query.junk) for query in queries)
    return max(1, count if depth is None else min(count, depth + junk))


def _judge(query: JudgedQuery, ids: Ids, similarities: Vectors, depth: int | None) -> Ranking:
    evaluated = np.isin(ids, query.junk, invert=True)
    relevant = np.isin(ids[evaluated], query.relevant)
    return Ranking(query, relevant[:depth], similarities[evaluated][:depth])
