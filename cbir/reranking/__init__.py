"""Reranking: reorders the first candidates of a search by more than their embeddings.

    sift, orb       the same object, by geometric verification of local features
    ssim            the same picture, by structural similarity
    aqe             images that many good candidates resemble (query expansion)
    kreciprocal     images that have the query among their own nearest neighbours

`RERANKERS` describes each of them; `register_reranker` adds another one.
"""

from cbir.reranking.registry import (
    DEFAULT_DEPTH,
    RERANKERS,
    RerankerInfo,
    find_reranker,
    open_reranker,
    register_reranker,
)
from cbir.reranking.reranker import QueryImage, Reranker
from cbir.reranking.shared import SharedRerankers

__all__ = [
    "DEFAULT_DEPTH",
    "RERANKERS",
    "QueryImage",
    "Reranker",
    "RerankerInfo",
    "SharedRerankers",
    "find_reranker",
    "open_reranker",
    "register_reranker",
]
