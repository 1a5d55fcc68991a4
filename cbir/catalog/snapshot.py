"""A consistent view of the whole catalogue, for indexes, exports and scans of all images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Connection, Select, func, select

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog_image import CatalogImage, image_pages
from cbir.catalog.metadata import columns, filtering
from cbir.catalog.metadata.column_types import ColumnType, column_types
from cbir.catalog.schema import (
    dismissals,
    embeddings,
    images,
    projections,
    regions,
    sources,
    state,
    tombstones,
)
from cbir.catalog.vectors import REGION_ROWS, decode, region_rows
from cbir.config import GalleryConfig
from cbir.embedding.whitening import Projection
from cbir.filters import Filter

PAGE = 256
"""Number of vectors per page. Of 1280 dimensions, 183,000 a second are read so, and 150,000 with
pages of 8192."""


class IndexedVectors(Protocol):
    """The vectors that an index is built from, each with an id: of images, or of regions."""

    @property
    def count(self) -> int:
        """Number of vectors."""
        ...

    def removed_since(self, generation: int) -> Ids:
        """Ids of vectors removed after `generation`, possibly also of changed ones: (N,)."""
        ...

    def changed_since(self, generation: int) -> Iterator[tuple[Ids, Vectors]]:
        """Vectors added or computed again after `generation`: pages of ids (N,), vectors (N, D)."""
        ...


class Snapshot:
    """The catalogue as of one commit: all methods read the same state despite later commits."""

    def __init__(self, connection: Connection, dim: int) -> None:
        self._connection = connection
        self._dim = dim
        self._state = connection.execute(select(state)).one()
        self.generation: int = self._state.generation

    @cached_property
    def count(self) -> int:
        """Number of images."""
        query = select(func.count()).select_from(embeddings)
        return int(self._connection.execute(query).scalar_one())

    @cached_property
    def projection(self) -> tuple[str, Projection | None]:
        """(digest, projection) that embeddings are compared by; ("", None) without whitening."""
        row = self._connection.execute(select(projections)).first()
        if row is None:
            return "", None
        return row.digest, Projection.from_bytes(row.data, self._dim)

    @cached_property
    def config(self) -> GalleryConfig:
        """The gallery's configuration."""
        return GalleryConfig.from_json(self._state.config)

    @property
    def index_kind(self) -> str:
        """The kind of vector index in the configuration, read without parsing the rest."""
        return str(self._state.config["index"])

    @property
    def next_image_id(self) -> int:
        """The first id that no image has had."""
        return int(self._state.next_image_id)

    @cached_property
    def key_columns(self) -> dict[str, str]:
        """Source URI → column of its images' keys, for sources that have one."""
        keyed = select(sources.c.uri, sources.c.key_column).where(sources.c.key_column.is_not(None))
        return {row.uri: row.key_column for row in self._connection.execute(keyed)}

    def dismissed(self, *, allowed: Ids | None = None) -> list[tuple[str, str]]:
        """Keys of pairs marked as not duplicates; only of images with `allowed` ids, if given."""
        first, second = images.alias(), images.alias()
        query = (
            select(dismissals.c.first_id, dismissals.c.second_id, first.c.key, second.c.key)
            .join(first, first.c.id == dismissals.c.first_id)
            .join(second, second.c.id == dismissals.c.second_id)
            .order_by(dismissals.c.first_id, dismissals.c.second_id)
        )
        admitted = None if allowed is None else set(allowed.tolist())
        return [
            (first_key, second_key)
            for first_id, second_id, first_key, second_key in self._connection.execute(query)
            if admitted is None or {first_id, second_id} <= admitted
        ]

    def catalog_images(
        self, *, allowed: Ids | None = None, page: int = 8192
    ) -> Iterator[list[CatalogImage]]:
        """Complete images, for a lossless copy, in pages, ascending by id.

        With `allowed` (N,), ascending, only those with these ids.
        """
        return image_pages(self._connection, allowed, page)

    def column_types(self) -> dict[str, ColumnType]:
        """The column type of every metadata field whose values are all of one type, by name."""
        return column_types(self._connection)

    def removed_since(self, generation: int) -> Ids:
        """Ids of the images removed after `generation`: (N,)."""
        query = select(tombstones.c.image_id).where(tombstones.c.generation > generation)
        return np.array(self._connection.execute(query).scalars().all(), dtype=np.int64)

    def changed_since(self, generation: int, *, page: int = PAGE) -> Iterator[tuple[Ids, Vectors]]:
        """Images added or embedded again after `generation`: pages of ids (N,), vectors (N, D)."""
        query = select(embeddings.c.image_id, embeddings.c.vector)
        if generation > 0:
            query = query.where(embeddings.c.generation > generation)
        # In the order of ids, which is the order on disk.
        yield from _pages(self._connection, query.order_by(embeddings.c.image_id), self._dim, page)

    def regions(self, count: int) -> IndexedVectors:
        """The vectors of the `count` regions of each image, with ids as in `region_rows`."""
        return _Regions(self, self._connection, self._dim, count)

    def contents(self) -> columns.Contents:
        """Ids, keys and content hashes of all images, ascending by id."""
        return columns.contents(self._connection)

    def column(self, field: str) -> dict[int, columns.Cell]:
        """The value of a field, by image id; images without it are absent. Raises FilterError."""
        return columns.column(self._connection, field)

    def check_column(self, field: str) -> None:
        """Raise FilterError for a field that no image has, and for one that holds lists."""
        columns.check(self._connection, field)

    def sharing(self, image_id: int, field: str, *, same: bool) -> Ids:
        """Ids of images with the value of a field that an image has, or not. Raises FilterError."""
        return columns.sharing(self._connection, image_id, field, same=same)

    def matching(self, where: Filter) -> Ids:
        """Ids of the images that match a filter, ascending: (N,). Raises FilterError."""
        return filtering.matching(self._connection, where)


class _Regions:
    """`IndexedVectors` of the regions of images: see `region_rows` for their ids."""

    def __init__(self, images: Snapshot, connection: Connection, dim: int, each: int) -> None:
        self._images = images
        self._connection = connection
        self._dim = dim
        self._each = each

    @cached_property
    def count(self) -> int:
        query = select(func.count()).select_from(regions)
        return int(self._connection.execute(query).scalar_one())

    def removed_since(self, generation: int) -> Ids:
        # Includes the regions of images embedded again, which may have no regions now.
        query = select(embeddings.c.image_id).where(embeddings.c.generation > generation)
        changed = np.array(self._connection.execute(query).scalars().all(), dtype=np.int64)
        gone = np.concatenate([self._images.removed_since(generation), changed])
        return region_rows(gone, self._each)

    def changed_since(self, generation: int) -> Iterator[tuple[Ids, Vectors]]:
        row = (regions.c.image_id * REGION_ROWS + regions.c.region).label("row")
        query = select(row, regions.c.vector)
        if generation > 0:
            query = query.where(regions.c.generation > generation)
        ordered = query.order_by(regions.c.image_id, regions.c.region)
        yield from _pages(self._connection, ordered, self._dim, PAGE)


def _pages(
    connection: Connection, query: Select[Any], dim: int, page: int
) -> Iterator[tuple[Ids, Vectors]]:
    """The rows of a query for ids and encoded vectors, decoded: pages of (N,) and (N, D)."""
    result = connection.execution_options(yield_per=page).execute(query)
    for rows in result.partitions():
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        yield ids, decode([row.vector for row in rows], dim)
