"""Every reranker by name. A new one is one file and one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cbir.errors import OptionError
from cbir.registry import did_you_mean, load_part

if TYPE_CHECKING:
    from cbir.gallery import Gallery
    from cbir.reranking.reranker import Reranker

__all__ = [
    "DEFAULT_DEPTH",
    "RERANKERS",
    "RerankerInfo",
    "find_reranker",
    "open_reranker",
    "register_reranker",
]

DEFAULT_DEPTH = 50
"""Candidates reranked by default: two cores verify 50 in a tenth of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerInfo:
    """Description of a reranker, which costs no import."""

    name: str
    factory: str
    """`module:attribute` of a callable: (gallery, depth=depth) → `Reranker`."""
    label: str
    """A few words for a menu: `verified by SIFT (same object)`."""
    descriptor: str | None = None
    """Name of the descriptor that it compares; None where embeddings suffice, so that no image
    is read."""
    cost: Literal[1, 2] = 1
    """Relative cost: 1 for thumbnails and embeddings; 2 for ten times that and more."""
    counts_inliers: bool = False
    """Whether it verifies candidates geometrically and says how many inliers each has."""


RERANKERS: dict[str, RerankerInfo] = {
    info.name: info
    for info in (
        RerankerInfo(
            name="ssim",
            factory="cbir.reranking.ssim:ssim_reranker",
            label="SSIM (copies)",
            descriptor="grey",
        ),
        RerankerInfo(
            name="aqe",
            factory="cbir.reranking.expansion:QueryExpansion",
            label="query expansion (many right answers)",
        ),
        RerankerInfo(
            name="kreciprocal",
            factory="cbir.reranking.reciprocal:KReciprocal",
            label="reciprocal neighbours (many right answers)",
        ),
        RerankerInfo(
            name="orb",
            factory="cbir.reranking.local_features:orb_reranker",
            label="verified by ORB (same object, faster)",
            descriptor="orb",
            cost=2,
            counts_inliers=True,
        ),
        RerankerInfo(
            name="sift",
            factory="cbir.reranking.local_features:sift_reranker",
            label="verified by SIFT (same object)",
            descriptor="sift",
            cost=2,
            counts_inliers=True,
        ),
    )
}
"""By name, the fastest first: the order in which they are listed and tried."""


def find_reranker(name: str) -> RerankerInfo:
    """The description of a reranker. Raises OptionError for an unknown name."""
    if name not in RERANKERS:
        hint = did_you_mean(name, RERANKERS)
        raise OptionError(f"no reranker {name!r}; {hint}there are {', '.join(RERANKERS)}")
    return RERANKERS[name]


def open_reranker(name: str, gallery: Gallery, *, depth: int = DEFAULT_DEPTH) -> Reranker:
    """Open a reranker over the first `depth` candidates of a search; close it when done.

    >>> from contextlib import closing
    >>> with closing(open_reranker("sift", gallery)) as reranker:  # doctest: +SKIP
    ...     retriever.search("query.jpg", rerank=reranker)

    It may be used by several threads at once. Raises OptionError for an unknown name, or
    when depth < 1.
    """
    if depth < 1:
        raise OptionError(f"depth is {depth}; rerank at least one candidate")
    reranker: Reranker = load_part(find_reranker(name).factory)(gallery, depth=depth)
    return reranker


def register_reranker(info: RerankerInfo) -> None:
    """Add a reranker. Raises ValueError when another one has its name."""
    if RERANKERS.setdefault(info.name, info) != info:
        raise ValueError(f"there is a reranker {info.name!r} already; choose another name")
