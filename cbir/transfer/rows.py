"""Reads the rows of a file as images; an invalid row becomes a `BadRow` with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cbir.arrays import Vectors
from cbir.catalog.catalog_image import CatalogImage
from cbir.catalog.vectors import encode
from cbir.errors import TransferError
from cbir.metadata import as_json, type_of
from cbir.sources.paths import path_to_uri, printable, uri_to_path
from cbir.sources.reading import content_hash
from cbir.transfer.description import COLUMNS
from cbir.transfer.pages import Reader
from cbir.transfer.roots import Root, moved_image

LENGTH_TOLERANCE = 0.01
"""Tolerance for the length of a unit vector: ten times the rounding error of float16."""

BEYOND = 1 << 63
"""The first whole number that does not fit a database column."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """An invalid row, and the reason."""

    number: int
    """Number of the row, counted from 1."""
    reason: str


ReadRow: TypeAlias = CatalogImage | BadRow


class RowReader:
    """Reads every row of a file; an invalid row does not stop it."""

    def __init__(self, path: Path, reader: Reader, roots: Sequence[Root] = ()) -> None:
        """Raises TransferError when a column is missing."""
        self._path = path
        self._reader = reader
        self._roots = roots
        self.unused = set(roots)
        """Roots that have matched no image so far."""
        # Another tool may have dropped cbir's description and kept the rows.
        self._own = reader.description is not None or set(COLUMNS) <= set(reader.columns)
        wanted = COLUMNS if self._own else ["uri"]
        missing = [name for name in wanted if name not in reader.columns]
        if missing and reader.rows:
            raise TransferError(f"{path} has no column {missing[0]!r} beside its embeddings")

    def pages(self) -> Iterator[list[ReadRow]]:
        """All rows in their order. Raises TransferError where the file is damaged."""
        seen = _Seen()
        for page in self._reader.pages():
            vectors, flaws = _checked(page.vectors)
            blobs = encode(vectors)
            rows: list[ReadRow] = []
            for place in range(len(page)):
                try:
                    if place in flaws:
                        raise ValueError(flaws[place])
                    cells = {name: values[place] for name, values in page.columns.items()}
                    row = (self._stored if self._own else self._foreign)(cells, blobs[place])
                    self.unused -= {r for r in self.unused if r.moved(row.uri) is not None}
                    row = moved_image(row, self._roots)
                    seen.check(row)
                    rows.append(row)
                except KeyError as error:
                    rows.append(BadRow(page.first + place, f"it has no {error}"))
                except (ValueError, TypeError, RecursionError) as error:
                    rows.append(BadRow(page.first + place, str(error)))
            yield rows

    def _stored(self, cells: Mapping[str, Any], vector: bytes) -> CatalogImage:
        """A row of a file that cbir wrote. Raises ValueError."""
        metadata, digest = cells["metadata"], cells["content_hash"]
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        if not isinstance(json.loads(text), dict):
            raise ValueError("its metadata is not a JSON object")
        digest = bytes.fromhex(digest) if isinstance(digest, str) else bytes(digest)
        if len(digest) != 16:
            raise ValueError(f"its content hash has {len(digest)} bytes, not 16")
        mtime, head = cells["mtime_ns"], self._reader.description
        number = _whole(cells, "id")
        if head is not None and not 0 < number < head.next_image_id:
            raise ValueError(
                f"its id {number} is not one of that gallery's (1 to {head.next_image_id - 1})"
            )
        return CatalogImage(
            id=number,
            key=_text(cells, "key"),
            uri=_text(cells, "uri"),
            name=_text(cells, "name"),
            source=_text(cells, "source"),
            width=_whole(cells, "width"),
            height=_whole(cells, "height"),
            size=_whole(cells, "size"),
            mtime_ns=None if mtime is None else _whole(cells, "mtime_ns"),
            content_hash=digest,
            metadata=text,
            dates=tuple(sorted(map(str, cells["dates"] or ()))),
            vector=vector,
        )

    def _foreign(self, cells: Mapping[str, Any], vector: bytes) -> CatalogImage:
        """A row of another tool's file: a URI, perhaps a key, and metadata. Raises ValueError.

        The size and content of the image are unknown: the next `cbir index` of its source reads
        it.
        """
        uri, name = _place(_text(cells, "uri"), self._path.absolute().parent)
        key = _text(cells, "key") if cells.get("key") is not None else uri
        metadata = cells.get("metadata")
        if isinstance(metadata, str):
            metadata = json.loads(metadata)
        if not isinstance(metadata, dict):
            metadata = {
                field: value
                for field, value in cells.items()
                if value is not None and field not in ("uri", "key", "metadata")
            }
        return CatalogImage(
            id=0,
            key=key,
            uri=uri,
            name=name,
            source=path_to_uri(self._path),
            width=0,
            height=0,
            size=0,
            mtime_ns=None,
            # Equal to no content hash of an image, and different for every image.
            content_hash=content_hash(b"unknown\0" + key.encode()),
            metadata=as_json(metadata),
            dates=tuple(sorted(n for n, value in metadata.items() if type_of(value) == "date")),
            vector=vector,
        )


class _Seen:
    """The set of keys and ids read so far, at about 100 bytes per row."""

    def __init__(self) -> None:
        self._keys: set[int] = set()  # hashes, which differ between processes
        self._ids: set[int] = set()

    def check(self, image: CatalogImage) -> None:
        """Raise ValueError for a repeated key or id; an id of 0 means none."""
        if hash(image.key) in self._keys:
            raise ValueError(f"an earlier row has the same key, {image.key}")
        if image.id in self._ids:
            raise ValueError(f"an earlier row has the same id, {image.id}")
        self._keys.add(hash(image.key))
        if image.id:
            self._ids.add(image.id)


def _checked(vectors: Vectors) -> tuple[Vectors, dict[int, str]]:
    """Unit vectors (N, D), with zeros for invalid rows, and row → reason of those."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
        good = np.abs(lengths - 1) <= LENGTH_TOLERANCE
    if good.all():
        return vectors, {}
    flaws = {
        int(row): f"its embedding has length {lengths[row]:.3g}, not 1"
        if np.isfinite(lengths[row])
        else "its embedding is missing, of another dimension, or not finite"
        for row in np.flatnonzero(~good)
    }
    return np.where(good[:, None], vectors, np.float32(0)), flaws


def _place(text: str, folder: Path) -> tuple[str, str]:
    """The URI and the name of an image: a URL, or a path that may be relative to `folder`."""
    path = uri_to_path(text)
    if "://" in path:
        return text, text
    path = str(folder / path)
    name = os.path.relpath(path, folder)
    return path_to_uri(path), printable(path if name.startswith("..") else name)


def _text(cells: Mapping[str, Any], name: str) -> str:
    value = cells.get(name)
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"its {name} is {value!r}, not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"its {name} {value!r} is not UTF-8 text") from None
    return value


def _whole(cells: Mapping[str, Any], name: str) -> int:
    value = cells[name]
    if isinstance(value, bool) or not isinstance(value, int) or not -BEYOND <= value < BEYOND:
        raise ValueError(f"its {name} is {value!r}, not a whole number")
    return value
