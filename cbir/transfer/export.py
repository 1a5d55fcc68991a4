"""Exports one snapshot of a gallery's catalogue to a file, page by page."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cbir.arrays import Ids
from cbir.catalog.catalog_image import CatalogImage
from cbir.catalog.vectors import decode
from cbir.errors import TransferError
from cbir.filters import Filter
from cbir.gallery import Gallery
from cbir.transfer.columns import FieldColumns
from cbir.transfer.description import Description
from cbir.transfer.npy_file import open_npy_writer
from cbir.transfer.pages import Numbers, page_rows
from cbir.transfer.parquet_file import open_parquet_writer
from cbir.types import Remark

__all__ = ["ExportReport", "export_gallery"]

Halves = Literal["float16", "float32"]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The file that an export wrote."""

    images: int
    dim: int
    """Dimension of the vectors in the file."""
    dtype: str
    generation: int
    """Generation of the gallery at the export."""
    files: tuple[str, ...]
    bytes: int
    seconds: float


def export_gallery(
    gallery: Gallery,
    path: str | Path,
    *,
    where: Filter | None = None,
    dtype: Halves | None = None,
    projected: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """Write images with embeddings and metadata to a .parquet file, or to .npy and .jsonl.

    Embeddings are float16, as in the catalogue: an import restores them bit by bit. `dtype` float32
    writes the same numbers for tools without float16. With `projected` the vectors are those that
    the gallery compares, centred or whitened (float32); such a file cannot be imported. `path` is
    replaced only at the end; `progress` is called with the number of images written so far.

    Raises TransferError when the file cannot be written, MissingExtraError for Parquet without
    pyarrow, FilterError when `where` cannot apply to this gallery.
    """
    started, path = time.perf_counter(), Path(path)
    writer = {".parquet": open_parquet_writer, ".npy": open_npy_writer}.get(path.suffix.lower())
    if writer is None:
        raise TransferError(f"{path} is of no known format; name it .parquet or .npy")
    if not path.absolute().parent.is_dir():
        raise TransferError(f"{path} cannot be written: there is no folder {path.parent}; make it")
    with ExitStack() as stack:
        snapshot = stack.enter_context(gallery.catalog.snapshot())
        allowed = None if where is None else snapshot.matching(where)
        _, projection = snapshot.projection
        description = Description(
            snapshot.config,
            projection,
            gallery.catalog.gallery_id,
            snapshot.generation,
            snapshot.next_image_id,
            snapshot.count if allowed is None else len(allowed),
            snapshot.key_columns,
            snapshot.dismissed(allowed=allowed),
            _remarks(gallery, allowed),
            projected,
        )
        dim = projection.dim if projected and projection else gallery.spec.dim
        dtype = dtype or ("float32" if projected else "float16")

        def vectors(page: list[CatalogImage]) -> Numbers:
            blobs = [image.vector for image in page]
            if projected:
                plain = decode(blobs, gallery.spec.dim)
                return (projection.apply(plain) if projection else plain).astype(dtype)
            halves = np.frombuffer(b"".join(blobs), "<f2").reshape(len(page), -1)
            return halves.astype(dtype, copy=False)

        try:
            columns = FieldColumns(snapshot.column_types())
            with writer(path, description, columns, dim, dtype) as written:
                done = 0
                for page in snapshot.catalog_images(
                    allowed=allowed, page=page_rows(gallery.spec.dim)
                ):
                    written.write(page, vectors(page))
                    done += len(page)
                    if progress is not None:
                        progress(done)
            written_bytes = sum(file.stat().st_size for file in written.files)
        except OSError as error:
            raise TransferError(f"{path} cannot be written: {error.strerror or error}") from error
    return ExportReport(
        done,
        dim,
        dtype,
        description.generation,
        tuple(str(file) for file in written.files),
        written_bytes,
        time.perf_counter() - started,
    )


def _remarks(gallery: Gallery, allowed: Ids | None) -> list[tuple[str, Remark]]:
    """Remarks with the key of their image; only of images with `allowed` ids, if given."""
    admitted = None if allowed is None else set(allowed.tolist())
    return [
        (remarked.key, Remark(remarked.kind, remarked.text))
        for remarked in gallery.catalog.remarks()
        if admitted is None or remarked.id in admitted
    ]
