"""Reranking by structural similarity: is it the same picture, pixel by pixel?"""

from __future__ import annotations

from cbir.gallery import Gallery
from cbir.reranking.descriptors import GREY
from cbir.reranking.pairwise import Evidence, PairwiseReranker
from cbir.similarity import Pixels, ssim

__all__ = ["ssim_reranker"]

CHANCE_SSIM = 0.55


def ssim_reranker(gallery: Gallery, *, depth: int) -> PairwiseReranker[Pixels]:
    """By the SSIM of the whole images, grey, squashed to 96 × 96: 9 kB per image."""
    return PairwiseReranker(gallery, GREY, weigh, method="ssim", depth=depth)


def weigh(query: Pixels, candidate: Pixels) -> Evidence:
    """(SSIM - c) / (1 - c) for an SSIM above c, else 0."""
    beyond_chance = ssim(query, candidate) - CHANCE_SSIM
    return Evidence(max(0.0, beyond_chance / (1 - CHANCE_SSIM)))
