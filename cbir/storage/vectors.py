"""What every vector index can do, whatever keeps its vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from cbir.config import IndexKind
from cbir.types import Candidates

if TYPE_CHECKING:
    from cbir.storage.catalog import Catalog

BuiltKind = Literal["flat", "hnsw", "ivf"]

IVF_MIN_COUNT = 1000
"""An inverted file over fewer images saves nothing and has too few to train on."""

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
        self, queries: Vectors, k: int, *, among: Ids | None = None, exact: bool = False
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each; `exact` scans every vector.

        `among` (N,), ascending, are the only images that may be found; all k of them are found
        where there are so many. Ids that the index does not hold are none of its own.
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


def kind_for(asked: IndexKind, count: int) -> BuiltKind:
    """What is built for a gallery of `count` images when `asked` was asked for."""
    if asked == "auto" or (asked == "ivf" and count < IVF_MIN_COUNT):
        return "flat"
    return asked


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
