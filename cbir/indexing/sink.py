"""Stage 4: the protocol of sinks, which take the changes of a run, and limits on their batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cbir.indexing.values import ImageChange

__all__ = ["Limits", "ProgressCallback", "Sink"]

ProgressCallback: TypeAlias = Callable[[int], None]
"""Callback with the number of images done so far."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of pages and transactions; the defaults suit galleries of any size."""

    page: int = 1000
    """Number of images compared with the catalogue at once."""
    commit_rows: int = 256
    """Number of rows after which a transaction is committed."""
    commit_seconds: float = 5.0
    """Seconds after which a transaction is committed: the most work that a kill loses."""
    remove_rows: int = 1000
    """Number of images removed by one transaction."""


class Sink(Protocol):
    """Takes the changes of a run: into the catalogue, or into a plan."""

    def add_unchanged(self, count: int) -> None:
        """Count images that are unchanged."""

    def add_repeated(self, count: int) -> None:
        """Count entries of the source that repeat an image."""

    def write(self, changes: Sequence[ImageChange]) -> None:
        """Take changes; moves given together are written together."""

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        """Remove images; a move has removed the `overwritten` ones already."""

    def refuse(self, reason: str) -> None:
        """Record why nothing is removed: too many images are missing."""
