"""The protocol of vector indexes, between a gallery and its nearest-neighbour search."""

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
"""The images that a search may find: their ids (N,), ascending, or a filter on metadata."""


class VectorIndex(Protocol):
    """Finds the nearest vectors of a gallery by cosine.

    It is derived from the catalogue, and `catch_up` brings it up to date. Several threads may
    search it, also while another one catches up. Kinds are listed in `cbir.indexes.registry`.
    """

    @property
    def kind(self) -> str:
        """Name of the kind that was built; never `auto`, which chooses a kind by size."""
        ...

    @property
    def exact(self) -> bool:
        """Whether every search compares the queries with every vector."""
        ...

    @property
    def generation(self) -> int:
        """Generation of the catalogue up to which the index contains all changes."""
        ...

    @property
    def projection(self) -> Projection | None:
        """Projection of its vectors (centring or whitening); None for plain embeddings."""
        ...

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Apply the catalogue's changes since the index's generation; safe to kill at any point.

        The kind is that of the catalogue's configuration. With `rebuild` everything is read again.
        A missing, damaged or foreign index is rebuilt, and not an error.
        """
        ...

    def is_current(self, catalog: Catalog) -> bool:
        """Whether `catch_up` has nothing to do; cheap, as no vectors are read."""
        ...

    def project(self, embeddings: Vectors) -> Vectors:
        """Project embeddings (N, D), as the network gives them, as this index does: (N, d)."""
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

        Only `allowed` images are found: k of them, or all if there are fewer. Allowed ids that the
        index lacks are ignored. `exact` compares with every vector. If queries are not `projected`
        (Q, D), they are projected like the vectors they are compared with, also while another
        thread rebuilds the index. Raises FilterError.
        """
        ...

    def ids(self) -> Ids:
        """The ids of all images in the index, ascending."""
        ...

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        """The projected vectors of images or, where `regions` (N,) is not 0, of that region.

        (N,) → (N, d). Raises KeyError for an image or region that the index lacks.
        """
        ...

    def count(self) -> int:
        """Number of images in the index."""
        ...

    def close(self) -> None:
        """Release memory, files and threads."""
        ...


def allowed_ids(allowed: Allowed | None, catalog: Catalog | None) -> Ids | None:
    """The allowed ids, for an index that cannot evaluate filters. Raises FilterError."""
    if allowed is None or isinstance(allowed, np.ndarray):
        return allowed
    return np.empty(0, np.int64) if catalog is None else catalog.matching(allowed)
