"""Reranking by geometric verification: candidates that show the same object rise."""

from __future__ import annotations

from functools import partial
from math import log2

from cbir.descriptors.local_features import orb, sift
from cbir.gallery import Gallery
from cbir.reranking.pairwise import PairEvidence, PairwiseReranker
from cbir.similarity import LocalFeatures, match, verify

__all__ = ["inlier_evidence", "orb_reranker", "sift_reranker"]

SIFT_CHANCE, ORB_CHANCE = 5, 6
"""Most inliers of any pair among 4,500 pairs of unrelated photographs."""


def sift_reranker(gallery: Gallery, *, depth: int) -> PairwiseReranker[LocalFeatures]:
    """Reranker by SIFT: at most 98 kB per image in the catalogue, 5 ms per candidate and core."""
    compare = partial(inlier_evidence, chance=SIFT_CHANCE)
    return PairwiseReranker(gallery, sift(), compare, method="sift", depth=depth)


def orb_reranker(gallery: Gallery, *, depth: int) -> PairwiseReranker[LocalFeatures]:
    """Reranker by ORB: a quarter of SIFT's memory; finds less where light or size differ."""
    compare = partial(inlier_evidence, chance=ORB_CHANCE)
    return PairwiseReranker(gallery, orb(), compare, method="orb", depth=depth)


def inlier_evidence(query: LocalFeatures, candidate: LocalFeatures, *, chance: int) -> PairEvidence:
    """Evidence of n inliers among t tentative matches, 0 for n <= c:

        n / t · log2((1 + n) / (1 + c))

    with c = `chance`, the most inliers of unrelated images: how often the inliers double the number
    of chance, weighted by the inlier ratio. Added to the similarity at a depth of 50, with
    EfficientNet-Lite0, each image being a query for the others of its label, it gives

        mAP / P@1  plain          SIFT           ORB
        CD covers  0.805 / 0.853  0.983 / 0.991  0.978 / 0.991
        buildings  0.753 / 0.803  0.859 / 0.910  0.810 / 0.852
        groceries  0.449 / 0.801  0.504 / 0.877  0.482 / 0.859
        Corel 1k   0.902 / 0.979  0.902 / 0.980  0.902 / 0.979

    The form is that of the log-odds of one label given log n and n / t in a logistic model fitted
    to the buildings, where n / t · (log(1 + n) - 2) has the largest weight. c comes from other,
    unrelated pairs. The base of the logarithm hardly matters: twice or half the strength changes
    no mAP by more than 0.007. n / t alone, from 8 inliers on, gives 0.982, 0.853 and 0.498 by
    SIFT. Full logistic models depend on their training set: one of the buildings does as well, one
    of the CD covers gives the buildings 0.78 only.
    """
    verified = verify(query, candidate, match(query, candidate))
    doublings = max(0.0, log2((1 + verified.inliers) / (1 + chance)))
    return PairEvidence(verified.inlier_ratio * doublings, verified.inliers)
