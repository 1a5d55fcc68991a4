"""Ordering the first candidates of a search anew, by more than their embeddings.

    sift, orb       the same object, by keypoints that agree on one geometry
    ssim            the same picture, by its pixels
    aqe             the candidates that many good candidates resemble (query expansion)
    kreciprocal     the candidates that have the query among their own nearest

The first three look at the images themselves, and keep what they need of each in the catalogue.
"""

from cbir.reranking.descriptors import ensure_descriptors
from cbir.reranking.registry import RERANKERS, open_reranker
from cbir.reranking.reranker import QueryImage, Reranker

__all__ = ["RERANKERS", "QueryImage", "Reranker", "ensure_descriptors", "open_reranker"]
