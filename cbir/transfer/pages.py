"""Protocols of file formats that are written and read page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from cbir.arrays import Vectors
from cbir.catalog.catalog_image import CatalogImage
from cbir.transfer.description import Description

Numbers: TypeAlias = npt.NDArray[np.floating[Any]]

PAGE_BYTES = 32 << 20
PAGE_ROWS = 8192
COMMIT_ROWS = 1000


def page_rows(dim: int) -> int:
    """Number of rows of embeddings held in memory at once."""
    return max(1, min(PAGE_ROWS, PAGE_BYTES // (4 * dim)))


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Consecutive rows of a file, not yet validated."""

    first: int
    """Number of the first row, counted from 1."""
    columns: Mapping[str, Sequence[Any]]
    vectors: Vectors
    """(N, D) float32; NaN where a row has no valid embedding."""

    def __len__(self) -> int:
        return len(self.vectors)


class Writer(Protocol):
    """Writes a file."""

    files: tuple[Path, ...]

    def write(self, images: Sequence[CatalogImage], vectors: Numbers) -> None:
        """Append images with their vectors (N, D). Raises OSError."""
        ...


class Reader(Protocol):
    """Reads a file; can be iterated several times."""

    description: Description | None
    """The exported gallery; None for another tool's file."""
    columns: tuple[str, ...]
    """All columns but the embedding; those of the first row where rows differ."""
    dim: int | None
    """Dimension of the embeddings; None for a file without rows."""
    rows: int

    def pages(self) -> Iterator[Page]:
        """All rows, in order. Raises TransferError where the file is damaged."""
        ...
