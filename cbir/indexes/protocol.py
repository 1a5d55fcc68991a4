"""What every vector index can do, whatever keeps its vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from cbir.arrays import Ids, Vectors
from cbir.config import IndexKind
from cbir.types import Candidates

if TYPE_CHECKING:
    from cbir.catalog.catalog import Catalog

BuiltKind = Literal["flat", "hnsw", "ivf", "pq"]

TRAINED_MIN_COUNT = 1000
"""What is trained on the vectors saves nothing over fewer images, and has too few to learn from."""

FLAT_NUMBERS = 60_000_000
"""An exact scan of so many (47,000 vectors of 1280 dimensions) takes some 10 ms of one core."""


class VectorIndex(Protocol):
    """The nearest vectors of a gallery by cosine; derived from the catalogue, never the truth."""

    def catch_up(self, catalog: Catalog) -> None:
        """Apply what the catalogue has committed since; idempotent, safe to kill at any point."""
        ...

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (N, D) → as this index compares them (N, d)."""
        ...

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Ids | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each; `exact` scans every vector.

        `allowed` (N,), ascending, are the only images that may be found; all k of them are found
        where there are so many. Ids that the index does not hold are none of its own.
        Queries that are not `projected` (Q, D) are projected as the vectors they are compared
        with were, also while another thread has the index built anew.
        """
        ...

    def ids(self) -> Ids:
        """The ids of all images in the index, ascending."""
        ...

    def count(self) -> int:
        """How many images are in the index."""
        ...

    def close(self) -> None:
        """Let go of memory and files."""
        ...


def kind_for(asked: IndexKind, count: int, dim: int, current: BuiltKind | None = None) -> BuiltKind:
    """What suits a gallery of `count` images of `dim` dimensions when `asked` was asked for.

    A gallery about as large as the limit keeps what it has.
    """
    if asked == "auto":
        limit = FLAT_NUMBERS // 2 if current == "pq" else FLAT_NUMBERS
        asked = "flat" if count * dim <= limit else "pq"
    return "flat" if asked in ("ivf", "pq") and count < TRAINED_MIN_COUNT else asked
