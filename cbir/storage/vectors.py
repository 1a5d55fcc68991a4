"""What every vector index can do, whatever keeps its vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from cbir.config import IndexKind
from cbir.types import Candidates

if TYPE_CHECKING:
    from cbir.storage.catalog import Catalog

BuiltKind = Literal["flat", "hnsw", "ivf", "pq"]

TRAINED_MIN_COUNT = 1000
"""What is trained on the vectors saves nothing over fewer images, and has too few to learn from."""

FLAT_NUMBERS = 60_000_000
"""An exact scan of so many (47,000 vectors of 1280 dimensions) takes some 10 ms of one core."""

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


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
        among: Ids | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each; `exact` scans every vector.

        `among` (N,), ascending, are the only images that may be found; all k of them are found
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


REGION_ROWS = 64
"""A region is indexed under its image's id times this, plus its own number."""


def region_rows(images: Ids, count: int) -> Ids:
    """Where the `count` regions of each image (N,) are indexed: (N · count,), in their order."""
    return (images[:, None] * REGION_ROWS + np.arange(1, count + 1)).reshape(-1)


def normalised(vectors: Vectors) -> Vectors:
    """Rows scaled to unit length: (N, D) → (N, D) float32; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)


def encode(vectors: Vectors) -> list[bytes]:
    """Embeddings as the catalogue keeps them: (N, D) float32 → N × D little-endian float16."""
    return [half.tobytes() for half in vectors.astype("<f2")]


def decode(blobs: list[bytes], dim: int) -> Vectors:
    """What `encode` wrote, as unit vectors: N blobs → (N, D) float32."""
    halves = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(blobs), dim)
    # Rounding to half precision moves the norm by up to 2^-11: restore it.
    return normalised(halves.astype(np.float32))
