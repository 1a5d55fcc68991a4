"""The protocol of search structures: the vectors of a local index, in memory or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cbir.arrays import Ids, Vectors

if TYPE_CHECKING:
    from typing_extensions import Self

    from cbir.indexes.index_files import IndexManifest, Part

__all__ = ["SearchStructure"]


class SearchStructure(Protocol):
    """Vectors with ids, searchable by inner product. Not thread-safe.

    `LocalIndex` does the rest: it applies the catalogue's changes, locks, and manages the files.
    """

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> Self:
        """Build a structure of `count` vectors, given as pages of ids (N,) and vectors (N, D).

        `folder` may be used for files that `save` later makes part of the index.
        """
        ...

    @classmethod
    def load(cls, folder: Path, manifest: IndexManifest) -> Self | None:
        """Load what `save` wrote; None when any of its files is missing or damaged."""
        ...

    @property
    def dim(self) -> int:
        """Dimension of its vectors."""
        ...

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        """(Q, D) → similarities (Q, k) and ids (Q, k), -1 where there are fewer.

        With `allowed`, ascending, only these ids may be found, and the search is exact.
        """
        ...

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors (N, D) with new ids (N,)."""
        ...

    def remove(self, ids: Ids) -> bool:
        """Remove existing ids; False when the structure must be rebuilt instead."""
        ...

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        """Whether growth from `built_count` to `count` vectors requires a rebuild."""
        ...

    def ids(self) -> Ids:
        """All ids, in no particular order."""
        ...

    def count(self) -> int:
        """Number of vectors."""
        ...

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors of these ids: (N,) → (N, D). Raises KeyError for unknown ids."""
        ...

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        """Write everything that is not yet in the folder, whose manifest is `current`.

        Searches go on meanwhile; their lock `searching` is taken for changes that they must not see
        half-done. Raises OSError.
        """
        ...

    def close(self) -> None:
        """Release memory, files and threads."""
        ...
