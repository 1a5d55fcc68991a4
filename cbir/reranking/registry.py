"""Rerankers by name."""

from __future__ import annotations

import difflib
from importlib import import_module

from cbir.errors import OptionError
from cbir.gallery import Gallery
from cbir.reranking.reranker import Reranker

__all__ = ["DEPTH", "RERANKERS", "open_reranker"]

DEPTH = 50
"""Candidates judged by default: what two cores verify while a person hardly notices."""

RERANKERS = {
    "ssim": "cbir.reranking.ssim:ssim_reranker",
    "sift": "cbir.reranking.keypoints:sift_reranker",
    "orb": "cbir.reranking.keypoints:orb_reranker",
    "aqe": "cbir.reranking.expansion:QueryExpansion",
    "kreciprocal": "cbir.reranking.reciprocal:KReciprocal",
}


def open_reranker(name: str, gallery: Gallery, *, depth: int = DEPTH) -> Reranker:
    """The reranker of that name over the first `depth` candidates of a search.

    Raises OptionError for an unknown name, or when depth < 1.
    """
    if depth < 1:
        raise OptionError(f"depth is {depth}; rerank at least one candidate")
    if name not in RERANKERS:
        near = difflib.get_close_matches(name, RERANKERS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise OptionError(f"no reranker {name!r}; {hint}there are {', '.join(RERANKERS)}")
    module, _, attribute = RERANKERS[name].partition(":")
    reranker: Reranker = getattr(import_module(module), attribute)(gallery, depth=depth)
    return reranker
