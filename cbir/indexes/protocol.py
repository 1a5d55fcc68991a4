"""The seam between a gallery and whatever finds its nearest vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.embedding.whitening import Projection
from cbir.filters import Filter
from cbir.types import Candidates

if TYPE_CHECKING:
    from cbir.catalog.catalog import Catalog

__all__ = ["Allowed", "VectorIndex", "allowed_ids"]

Allowed: TypeAlias = "Ids | Filter"
"""Which images may be found: their ids (N,), ascending, or a filter on their metadata."""


class VectorIndex(Protocol):
    """Finds the nearest vectors of a gallery by cosine.

    It is derived from the catalogue and never the truth: `catch_up` brings it up to date. It may be
    searched by several threads, also while another one catches up. Kinds are listed in
    `cbir.indexes.registry`.
    """

    @property
    def kind(self) -> str:
        """Name of its kind, as it was built: `auto`, for example, chooses by size."""
        ...

    @property
    def exact(self) -> bool:
        """Whether every search compares the queries with every vector."""
        ...

    @property
    def generation(self) -> int:
        """Generation of the catalogue up to which changes are applied."""
        ...

    @property
    def projection(self) -> Projection | None:
        """Centring or whitening of the vectors it holds; None where they are plain embeddings."""
        ...

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Apply what the catalogue has committed since; safe to kill at any point.

        The kind is the one that the catalogue's configuration names. With `rebuild` everything is
        read again. A missing, damaged or foreign index is built anew and is no error.
        """
        ...

    def is_current(self, catalog: Catalog) -> bool:
        """Whether `catch_up` has nothing to do; nothing large is read to tell."""
        ...

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (N, D) → as this index compares them (N, d)."""
        ...

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Allowed | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each, equal ones by ascending id.

        Only images that are `allowed` are found, and all k of them where there are so many; ids
        that the index does not hold are ignored. `exact` compares with every vector. Queries that
        are not `projected` (Q, D) are projected as the vectors they are compared with, also while
        another thread has the index built anew. Raises FilterError.
        """
        ...

    def ids(self) -> Ids:
        """The ids of all images in the index, ascending."""
        ...

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        """The projected vectors of images or, where `regions` (N,) is not 0, of that region.

        (N,) → (N, d). Raises KeyError when the index lacks one.
        """
        ...

    def count(self) -> int:
        """How many images are in the index."""
        ...

    def close(self) -> None:
        """Let go of memory, files and threads."""
        ...


def allowed_ids(allowed: Allowed | None, catalog: Catalog | None) -> Ids | None:
    """Ids that may be found, for an index that cannot filter by itself. Raises FilterError."""
    if allowed is None or isinstance(allowed, np.ndarray):
        return allowed
    return np.empty(0, np.int64) if catalog is None else catalog.matching(allowed)
