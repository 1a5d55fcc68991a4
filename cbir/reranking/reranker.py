"""The interface of rerankers, and the query image they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cbir.types import Hit

if TYPE_CHECKING:
    from PIL.Image import Image

    from cbir.arrays import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class QueryImage:
    """A query image for a reranker: its id, its embedding, and its pixels on demand."""

    id: int | None
    """The id of an image of the gallery, whose stored descriptors are used; None for any other."""
    embedding: Vectors
    """(D,) float32, unit norm, as the gallery's index compares it (whitened, if the gallery is)."""
    read: Callable[[], bytes | Image]
    """The encoded image, or a Pillow image, as `Descriptor.describe` takes it. Raises
    ImageError."""


class Reranker(Protocol):
    """Protocol of rerankers: scores the first candidates of a search again and reorders them."""

    method: str
    depth: int
    """Number of candidates it scores."""

    def rerank(self, query: QueryImage, hits: Sequence[Hit]) -> list[Hit]:
        """The first `depth` hits in a new order, each with a score, followed by all others.

        Ranks stay as they were. A candidate that cannot be scored is no error.
        """
        ...

    def close(self) -> None:
        """Release threads and memory; called once, by whoever opened it."""
        ...


def rerank_by_all(
    reranker: Reranker, images: Sequence[QueryImage], hits: Sequence[Hit]
) -> list[Hit]:
    """`reranker.rerank` for one or more query images; a hit keeps its best score among them."""
    if len(images) == 1:
        return reranker.rerank(images[0], hits)
    best: dict[int, Hit] = {}
    for image in images:
        for hit in reranker.rerank(image, hits[: reranker.depth]):
            previous = best.get(hit.image.id)
            if previous is None or _sort_key(hit) > _sort_key(previous):
                best[hit.image.id] = hit
    head = [best[hit.image.id] for hit in hits[: reranker.depth] if hit.image.id in best]
    return sorted(head, key=lambda hit: -_sort_key(hit)[0]) + list(hits[reranker.depth :])


def _sort_key(hit: Hit) -> tuple[float, bool]:
    """The score; of equal ones, a hit that could be scored comes first."""
    if hit.rerank is None:
        return hit.similarity, False
    return hit.rerank.score, not hit.rerank.note
