"""Protocols of files that are written and read page by page, never whole."""

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
    """How many rows of embeddings are held in memory at once."""
    return max(1, min(PAGE_ROWS, PAGE_BYTES // (4 * dim)))


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Some rows of a file, as they stand there."""

    first: int
    """The number of the first row; a file's first is 1."""
    columns: Mapping[str, Sequence[Any]]
    vectors: Vectors
    """(N, D) float32; NaN where a row has none."""

    def __len__(self) -> int:
        return len(self.vectors)


class Writer(Protocol):
    """A file that is being written."""

    files: tuple[Path, ...]

    def write(self, images: Sequence[CatalogImage], vectors: Numbers) -> None:
        """Append images with their vectors (N, D). Raises OSError."""
        ...


class Reader(Protocol):
    """A file that can be read again and again."""

    description: Description | None
    """None where another tool wrote the file."""
    columns: tuple[str, ...]
    """All but the embeddings'; where rows differ in theirs, the first row's."""
    dim: int | None
    """None where the file has no rows to tell."""
    rows: int

    def pages(self) -> Iterator[Page]:
        """All rows, from the first. Raises TransferError where they are damaged."""
        ...
