"""The Parquet format: one file, with the gallery's description in the schema's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cbir.arrays import Vectors
from cbir.catalog.catalog_image import CatalogImage
from cbir.errors import TransferError
from cbir.files import import_pyarrow, replacing
from cbir.transfer.columns import FieldColumns
from cbir.transfer.description import COLUMNS, Description
from cbir.transfer.pages import COMMIT_ROWS, Numbers, Page, Writer

HEAD = b"cbir"
EMBEDDING = "embedding"
LARGEST_PROJECTION = 24 << 20
"""Largest projection in bytes; readers refuse a file whose schema is much larger."""


class _ParquetWriter:
    def __init__(self, path: Path, writer: Any, schema: Any, columns: FieldColumns) -> None:
        self.files: tuple[Path, ...] = (path,)
        self._writer = writer
        self._schema = schema
        self._columns = columns

    def write(self, images: Sequence[CatalogImage], vectors: Numbers) -> None:
        arrow, _ = _pyarrow()
        listed = arrow.FixedSizeListArray.from_arrays(
            arrow.array(np.ascontiguousarray(vectors).reshape(-1)), vectors.shape[1]
        )
        values = [[getattr(image, name) for image in images] for name in COLUMNS]
        values += self._columns.values(images)
        types = self._schema.types[:-1]
        arrays = [arrow.array(v, type=t) for v, t in zip(values, types, strict=True)]
        # One row group per page: a reader holds a row group in memory.
        self._writer.write_table(arrow.table([*arrays, listed], schema=self._schema))


@contextmanager
def open_parquet_writer(
    path: Path, description: Description, columns: FieldColumns, dim: int, dtype: str
) -> Iterator[Writer]:
    """Write to `path`, which is replaced at the end. Raises OSError, MissingExtraError."""
    arrow, parquet = _pyarrow()
    projection = description.projection
    if projection is not None and len(projection.to_bytes()) > LARGEST_PROJECTION:
        raise TransferError(
            f"{path}: the gallery's whitening is too large for Parquet; write .npy, or keep fewer "
            "directions (cbir whiten --dims N)"
        )
    types = {**COLUMNS, **columns.types}
    fields = [arrow.field(name, _type(arrow, kind)) for name, kind in types.items()]
    number = arrow.float16() if dtype == "float16" else arrow.float32()
    fields.append(arrow.field(EMBEDDING, arrow.list_(number, dim)))
    schema = arrow.schema(fields, {HEAD: json.dumps(description.to_json())})
    with (
        replacing(path) as beside,
        parquet.ParquetWriter(
            beside,
            schema,
            # Embeddings are nearly random: neither a dictionary nor zstd compresses them.
            compression=dict.fromkeys(types, "zstd") | {f"{EMBEDDING}.list.element": "none"},
            use_dictionary=["source", *(name for name in types if name not in COLUMNS)],
            write_statistics=list(types),
        ) as writer,
    ):
        yield _ParquetWriter(path, writer, schema, columns)


class ParquetReader:
    """Reads a Parquet file with a column of embeddings and, if cbir wrote it, a description."""

    def __init__(self, path: Path) -> None:
        """Raises TransferError for a file that cannot be read, or has no embeddings."""
        arrow, parquet = _pyarrow()
        self._path, self._errors = path, (arrow.ArrowException, OSError)
        try:
            with parquet.ParquetFile(path) as file:
                schema, self.rows = file.schema_arrow, file.metadata.num_rows
        except self._errors as error:
            raise TransferError(f"{path} is not a Parquet file, or truncated: {error}") from error
        head = (schema.metadata or {}).get(HEAD)
        self.description = None
        if head is not None:
            try:
                data = json.loads(head)
            except ValueError:
                data = None
            self.description = Description.from_json(data, str(path))
        self.columns = tuple(name for name in schema.names if name != EMBEDDING)
        if EMBEDDING not in schema.names:
            raise TransferError(
                f"{path} has no column {EMBEDDING!r} (columns: {', '.join(schema.names)})"
            )
        twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
        if twice is not None:
            raise TransferError(f"{path}: two columns are called {twice!r}; rename one")
        kind = schema.field(EMBEDDING).type
        lists = arrow.types.is_list(kind) or arrow.types.is_large_list(kind)
        fixed = arrow.types.is_fixed_size_list(kind)
        if not (lists or fixed) or not arrow.types.is_floating(kind.value_type):
            raise TransferError(f"{path}: {EMBEDDING!r} is {kind}, not a list of floats per row")
        self.dim = kind.list_size if fixed else self._first_length()

    def pages(self) -> Iterator[Page]:
        first = 1
        # The columns of single fields only repeat `metadata`.
        names = tuple(COLUMNS) if set(COLUMNS) <= set(self.columns) else self.columns
        for batch in self._batches(COMMIT_ROWS, [*names, EMBEDDING]):
            columns = {name: batch.column(name).to_pylist() for name in names}
            vectors = _vectors(batch.column(EMBEDDING), self.dim or 0)
            yield Page(first, columns, vectors)
            first += len(batch)

    def _batches(self, size: int, columns: list[str]) -> Iterator[Any]:
        _, parquet = _pyarrow()
        rows = 0
        try:
            # With pre-buffering, pyarrow would keep the whole file in memory until it is closed.
            with parquet.ParquetFile(self._path, pre_buffer=False) as file:
                for batch in file.iter_batches(size, columns=columns):
                    yield batch
                    rows += len(batch)
        except self._errors as error:
            raise TransferError(
                f"{self._path} is damaged after row {rows:,}: {error}; export it again, "
                "the next import goes on"
            ) from error

    def _first_length(self) -> int | None:
        """The length of the first row's list, which all others must have."""
        for batch in self._batches(1, [EMBEDDING]):
            values = batch.column(0)[0].as_py()
            if values is not None:
                return len(values)
        return None


def _vectors(column: Any, dim: int) -> Vectors:
    """A column of lists as (N, dim) float32; NaN for a list that is missing or of another length.

    Numbers that are missing are NaN, too.
    """
    flat = column.flatten().to_numpy(zero_copy_only=False)
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if column.null_count == 0 and (lengths == dim).all():
        return np.asarray(flat, np.float32).reshape(len(column), dim)
    vectors = np.full((len(column), dim), np.nan, np.float32)
    for row, values in enumerate(column.to_pylist()):
        if values is not None and len(values) == dim:
            vectors[row] = [np.nan if value is None else value for value in values]
    return vectors


def _type(arrow: Any, name: str) -> Any:
    if name.startswith("list<"):
        return arrow.list_(_type(arrow, name[5:-1]))
    if name.startswith("timestamp"):
        return arrow.timestamp("us", tz="UTC" if "UTC" in name else None)
    if name.startswith("fixed_size_binary"):
        return arrow.binary(16)
    return arrow.type_for_alias(name)


def _pyarrow() -> tuple[Any, Any]:
    return import_pyarrow("use .npy")
