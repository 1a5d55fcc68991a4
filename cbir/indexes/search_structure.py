"""The inner part of a local index: vectors in memory or in a file, ready to be searched."""

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
    """Vectors under ids, searchable by inner product. Not safe for two threads at once.

    `LocalIndex` does the rest: it applies the catalogue's changes, locks, and keeps the files.
    """

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Ids, Vectors]], dim: int, count: int
    ) -> Self:
        """A structure of `count` vectors that come as pages of ids (N,) and vectors (N, D).

        `folder` may be used for files that `save` later makes part of the index.
        """
        ...

    @classmethod
    def load(cls, folder: Path, manifest: IndexManifest) -> Self | None:
        """The structure that `save` wrote; None when any of its files is missing or damaged."""
        ...

    @property
    def dim(self) -> int:
        """Dimensions of the vectors it holds."""
        ...

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        """(Q, D) → similarities (Q, k) and ids (Q, k), -1 where there are fewer.

        `allowed`, ascending, are the only ids that may be found; the search is exact then.
        """
        ...

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors (N, D) under ids (N,) that it does not hold yet."""
        ...

    def remove(self, ids: Ids) -> bool:
        """Remove ids that it holds; False when it must be built anew instead."""
        ...

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        """Whether a gallery that has grown from `built_count` vectors needs it built anew."""
        ...

    def ids(self) -> Ids:
        """All ids, in no particular order."""
        ...

    def count(self) -> int:
        """How many vectors it holds."""
        ...

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors under these ids: (N,) → (N, D). Raises KeyError for others."""
        ...

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        """Write what is not yet in the folder, whose manifest is `current`. Raises OSError.

        Searches go on meanwhile; their lock `searching` is taken where one must not see half.
        """
        ...

    def close(self) -> None:
        """Let go of memory, files and threads."""
        ...
