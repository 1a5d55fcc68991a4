"""What an index consists of once it has been built, whichever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cbir.arrays import Ids, Vectors
from cbir.indexes.protocol import BuiltKind

if TYPE_CHECKING:
    from cbir.indexes.index_files import IndexManifest, Part


class SearchStructure(Protocol):
    """Vectors under ids, searchable by inner product. Not safe for two threads at once."""

    @property
    def kind(self) -> BuiltKind: ...

    @property
    def dim(self) -> int:
        """Of the vectors it holds."""
        ...

    def search(
        self, queries: Vectors, k: int, *, allowed: Ids | None = None, exact: bool = False
    ) -> tuple[Vectors, Ids]:
        """(Q, D) → similarities (Q, k) and ids (Q, k), -1 where there are fewer.

        `allowed`, ascending, are the only ids that may be found; the search is exact then.
        """
        ...

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors (N, D) under ids (N,) that are not there yet."""
        ...

    def forget(self, ids: Ids) -> bool:
        """Take out ids that are there; False when it must be built anew instead."""
        ...

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        """Whether a gallery that has grown from `built_count` images needs it built anew."""
        ...

    def ids(self) -> Ids:
        """All ids, in no particular order."""
        ...

    def count(self) -> int: ...

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
        """Write what is not yet in the folder, whose state is `current`. Raises OSError.

        Searches go on meanwhile; their lock `searching` is taken where one must not see half.
        """
        ...

    def close(self) -> None:
        """Let go of memory and files."""
        ...
