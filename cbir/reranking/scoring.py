"""Sorting hits by a reranker's scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cbir.types import Hit, RerankScore

__all__ = ["by_score", "scored"]


def scored(method: str, hits: Sequence[Hit], scores: Iterable[float]) -> list[Hit]:
    """Hits with these scores, the highest first."""
    return by_score(
        replace(hit, rerank=RerankScore(method, float(score)))
        for hit, score in zip(hits, scores, strict=True)
    )


def by_score(hits: Iterable[Hit]) -> list[Hit]:
    """Reranked hits, the highest score first; ties keep their order."""
    return sorted(hits, key=lambda hit: -(hit.rerank.score if hit.rerank else hit.similarity))
