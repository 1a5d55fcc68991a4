"""The .npy format: embeddings in `.npy`, a line of JSON for each row, the gallery in `.json`.

`shop.npy` is (N, D), line n of `shop.jsonl` describes the image of row n, `shop.json` describes the
gallery. Needs no library but numpy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from cbir.catalog.catalog_image import CatalogImage
from cbir.errors import TransferError
from cbir.files import replacing
from cbir.transfer.columns import FieldColumns
from cbir.transfer.description import Description
from cbir.transfer.pages import COMMIT_ROWS, Numbers, Page, Writer


class _NpyWriter:
    def __init__(self, files: tuple[Path, ...], matrix: IO[bytes], lines: IO[str]) -> None:
        self.files = files
        self._matrix = matrix
        self._lines = lines

    def write(self, images: Sequence[CatalogImage], vectors: Numbers) -> None:
        self._matrix.write(np.ascontiguousarray(vectors).data)
        self._lines.writelines(_line(image) for image in images)


@contextmanager
def open_npy_writer(
    path: Path, description: Description, columns: FieldColumns, dim: int, dtype: str
) -> Iterator[Writer]:
    """Write to `path` and two files beside it, which are replaced at the end. Raises OSError.

    No field gets a column, as JSON has types. Raises TransferError when files beside `path` belong
    to something else.
    """
    files = path, path.with_suffix(".jsonl"), path.with_suffix(".json")
    others = [file for file in files[1:] if file.exists()]
    if others and not path.exists():
        raise TransferError(f"{others[0]} is there, and not of an export; choose another name")
    head = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<")),
        "fortran_order": False,
        "shape": (description.images, dim),
    }
    with replacing(files[2]) as third, replacing(files[1]) as second, replacing(path) as first:
        with first.open("wb") as matrix, second.open("w", encoding="ascii") as lines:
            np.lib.format.write_array_header_1_0(matrix, head)
            yield _NpyWriter(files, matrix, lines)
        third.write_text(json.dumps(description.to_json(), indent=1), encoding="ascii")
        # The description is renamed last. Without deleting the old one, a kill in between could
        # combine new rows with an old description.
        files[2].unlink(missing_ok=True)


class NpyReader:
    """Reads a `.npy` file and the two beside it; for another tool's, `.json` may be missing."""

    def __init__(self, path: Path) -> None:
        """Raises TransferError for files that cannot be read or do not belong together."""
        self._path, self._lines = path, path.with_suffix(".jsonl")
        try:
            matrix = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise TransferError(f"{path} is not a .npy file, or truncated: {error}") from error
        if matrix.ndim != 2 or matrix.dtype.kind != "f":
            raise TransferError(f"{path}: {matrix.dtype} {matrix.shape}, not (N, D) floats")
        self.rows, self.dim = matrix.shape
        self.description = _describe(path.with_suffix(".json"))
        first: list[dict[str, Any]] = next(self._parts(1), [{}])
        self.columns = tuple(first[0])
        count = _line_count(self._lines)
        if count != self.rows:
            raise TransferError(
                f"{self._lines} has {count:,} lines and {path.name} {self.rows:,} rows; they do "
                "not belong together, export them again"
            )

    def pages(self) -> Iterator[Page]:
        first = 0
        for part in self._parts(COMMIT_ROWS):
            # Mapped again for every page, which releases the memory of earlier pages.
            matrix = np.lib.format.open_memmap(self._path, mode="r")
            vectors = np.array(matrix[first : first + len(part)], np.float32)
            names = dict.fromkeys(name for row in part for name in row)
            columns = {name: [row.get(name) for row in part] for name in names}
            yield Page(first + 1, columns, vectors)
            first += len(part)

    def _parts(self, size: int) -> Iterator[list[dict[str, Any]]]:
        number = 0
        try:
            with self._lines.open(encoding="utf-8") as file:
                while lines := list(islice(file, size)):
                    rows = []
                    for line in lines:
                        number += 1
                        row = json.loads(line)
                        if not isinstance(row, dict):
                            raise ValueError("not an object")
                        rows.append(row)
                    yield rows
        except OSError as error:
            raise TransferError(
                f"{self._lines} cannot be read: {error.strerror}; it describes the rows of "
                f"{self._path.name}"
            ) from error
        except ValueError as error:
            raise TransferError(
                f"{self._lines}: line {max(number, 1)} is not JSON: {error}"
            ) from error


def _describe(path: Path) -> Description | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    try:
        data = json.loads(text)
    except ValueError as error:
        raise TransferError(f"{path} is not JSON: {error}") from error
    return Description.from_json(data, str(path))


def _line_count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _line(image: CatalogImage) -> str:
    values = {
        "id": image.id,
        "key": image.key,
        "uri": image.uri,
        "name": image.name,
        "source": image.source,
        "width": image.width,
        "height": image.height,
        "size": image.size,
        "mtime_ns": image.mtime_ns,
        "content_hash": image.content_hash.hex(),
        "dates": image.dates,
    }
    # The catalogue's JSON text is copied: parsing and writing it again might change it.
    return f'{json.dumps(values)[:-1]}, "metadata": {image.metadata}}}\n'
