"""Stage 4: the interface of what takes the changes of a run, and when they are committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cbir.indexing.values import ImageChange

__all__ = ["Limits", "ProgressCallback", "Sink"]

ProgressCallback: TypeAlias = Callable[[int], None]
"""Called with the number of images that are done so far."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of what is done at once; the defaults suit galleries of any size."""

    page: int = 1000
    """Images that are compared with the catalogue by one statement."""
    commit_rows: int = 256
    """Rows after which a transaction is committed."""
    commit_seconds: float = 5.0
    """Seconds after which one is committed: the work that a kill costs at most."""
    remove_rows: int = 1000
    """Images removed by one transaction."""


class Sink(Protocol):
    """Takes the changes of a run: into the catalogue, or into a plan."""

    def add_unchanged(self, count: int) -> None:
        """Count images that are as the catalogue has them."""

    def add_repeated(self, count: int) -> None:
        """Count entries of the source that repeat an image."""

    def write(self, changes: Sequence[ImageChange]) -> None:
        """Take changes; moves that are given together happen together."""

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        """Remove images; the overwritten ones are gone with the move of another one already."""

    def refuse(self, reason: str) -> None:
        """Remove nothing, since too many images are gone."""
