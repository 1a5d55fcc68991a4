"""The reading half of the catalogue.

Each method runs its own transaction. Frequently read rows (records, embeddings, the generation, the
configuration) are cached until the next commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, func, literal, select

from cbir.arrays import Vectors
from cbir.catalog import attachments
from cbir.catalog.attachments import Pair
from cbir.catalog.catalog_image import CatalogImage, images_by_key
from cbir.catalog.engine import ROWS_PER_STATEMENT, parts, place_of, reading
from cbir.catalog.integrity import problems
from cbir.catalog.metadata.coverage import compared_as_numbers, coverage_of, note_of
from cbir.catalog.metadata.reader import MetadataReader
from cbir.catalog.records import (
    EMBEDDINGS,
    INDEXED_IMAGES,
    RECORD,
    RECORDS,
    SCAN,
    SOURCE_ROWS,
    as_failure,
    as_indexed_image,
    as_record,
    possible_ids,
)
from cbir.catalog.row_cache import CommitWatcher, RowCache
from cbir.catalog.rows import FailureRow, IndexedImage
from cbir.catalog.schema import (
    embeddings,
    failures,
    images,
    remarks,
    sources,
    state,
)
from cbir.catalog.snapshot import Snapshot
from cbir.catalog.vectors import decode
from cbir.config import EmbeddingSpec, GalleryConfig
from cbir.filters import Filter
from cbir.metadata import NumberCoverage
from cbir.types import DescriptorRow, FailedImage, ImageRecord, RemarkedImage, RemarkKind

__all__ = ["CatalogReader"]

ROWS_PER_PAGE = 10_000
"""Number of rows per page when all images of a source are read."""

CACHED_RECORDS = 8192
CACHED_FIELDS = 1000
CACHED_NUMBERS = 4_000_000
"""Size of the embedding cache in vector components: 3,100 vectors of 1280 dimensions, 16 MB."""


@dataclass(frozen=True, slots=True)
class _State:
    """The cached part of the `state` row: generation and configuration; and what is remarked."""

    generation: int
    config: GalleryConfig
    remarks: int
    """Number of remarks on images: mostly none, and then none is read."""


_STATE = select(
    state.c.generation,
    state.c.config,
    select(func.count()).select_from(remarks).scalar_subquery().label("remarks"),
)


_STATE_OF_5 = select(state.c.generation, state.c.config, literal(0).label("remarks"))


class CatalogReader(MetadataReader):
    """Reads a catalogue. Thread-safe; several processes may use one catalogue."""

    def __init__(
        self, engine: Engine, gallery_id: str, spec: EmbeddingSpec, *, has_remarks: bool = True
    ) -> None:
        super().__init__(engine)
        self._has_remarks = has_remarks
        """False for one of version 5 that can only be read, and so is not migrated."""
        self.gallery_id = gallery_id
        self.spec = spec
        """The gallery's embedding space, fixed when it was created."""
        self._commits = CommitWatcher(engine)
        self._coverage: RowCache[str, NumberCoverage] = RowCache(
            self._commits, self._read_coverage, most=CACHED_FIELDS
        )
        self._states = RowCache(self._commits, self._read_state, most=2)
        self._records = RowCache(self._commits, self._read_records, most=CACHED_RECORDS)
        most = CACHED_NUMBERS // spec.dim
        self._embeddings = RowCache(self._commits, self._read_embeddings, most=most)
        self._held: dict[str, dict[int, DescriptorRow]] = {}
        """Descriptors by method and image id that could not be stored."""

    @property
    def place(self) -> str:
        """The catalogue's location for display: a file, or a URL without its password."""
        return place_of(self._engine)

    @property
    def url(self) -> str:
        """The catalogue's URL, with a password as `***`."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def config(self) -> GalleryConfig:
        """The gallery's configuration as last committed, by this handle or any other."""
        return self._states.get([None])[None].config

    def count(self) -> int:
        """Number of images."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(images)).scalar_one()

    def generation(self) -> int:
        """Number of the last transaction that changed vectors: images, regions, whitening.

        Metadata, failures, dismissals, descriptors and configuration do not change it.
        """
        return self._states.get([None])[None].generation

    def indexed_images(self, keys: Sequence[str]) -> dict[str, IndexedImage]:
        """The images with these keys, by key, as an indexing run compares them."""
        with reading(self._engine) as connection:
            return {
                row.key: as_indexed_image(row)
                for part in parts(keys)
                for row in connection.execute(INDEXED_IMAGES.where(images.c.key.in_(part)))
            }

    def filter_notes(self, where: Filter) -> tuple[str, ...]:
        """What the comparisons of numbers in a filter leave out, a sentence for each field."""
        coverage = self._coverage.get(compared_as_numbers(where)).values()
        return tuple(note for each in coverage if (note := note_of(each)) is not None)

    def _read_coverage(self, fields: Sequence[str]) -> dict[str, NumberCoverage]:
        with reading(self._engine) as connection:
            return {field: coverage_of(connection, field) for field in fields}

    def of_source(self, source: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """All images of a source (its URI), by id, in pages of plain rows.

        A row is id, key, URI (None if equal to the key), name, size, mtime_ns, content hash, and
        the metadata as JSON text.
        """
        query = SOURCE_ROWS.where(images.c.source_id == sources.c.id, sources.c.uri == source)
        with reading(self._engine) as connection:
            streamed = connection.execution_options(yield_per=ROWS_PER_PAGE).execute(query)
            yield from streamed.partitions()

    def indexed_sources(self) -> dict[str, str | None]:
        """Every source's URI with the column of its images' keys; None if the URIs are the keys."""
        query = select(sources.c.uri, sources.c.key_column).order_by(sources.c.id)
        with reading(self._engine) as connection:
            return {row.uri: row.key_column or None for row in connection.execute(query)}

    def descriptor_counts(self) -> dict[str, int]:
        """Number of images with descriptors, by method."""
        with reading(self._engine) as connection:
            return attachments.count_descriptors(connection)

    def key_column(self, source: str) -> str | None:
        """The column of a source's keys, empty if URIs are the keys; None if no such source."""
        query = select(func.coalesce(sources.c.key_column, "")).where(sources.c.uri == source)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def failures_by_key(self, keys: Sequence[str]) -> dict[str, FailureRow]:
        """The failures with these keys, by key."""
        with reading(self._engine) as connection:
            return {
                row.key: as_failure(row)
                for part in parts(keys)
                for row in connection.execute(select(failures).where(failures.c.key.in_(part)))
            }

    def remarks(self) -> list[RemarkedImage]:
        """What has to be known about images that could be read, in the order of their ids."""
        if not self._has_remarks:
            return []
        with reading(self._engine) as connection:
            return attachments.read_remarks(connection)

    def remark_counts(self) -> dict[RemarkKind, int]:
        """Number of images with remarks, by kind."""
        if not self._has_remarks:
            return {}
        with reading(self._engine) as connection:
            return attachments.count_remarks(connection)

    def ids_with_remark(self, kind: RemarkKind) -> frozenset[int]:
        """The ids of the images with a remark of this kind."""
        if not self._states.get([None])[None].remarks:
            return frozenset()
        with reading(self._engine) as connection:
            return frozenset(attachments.ids_with_remark(connection, kind))

    def failures(self, *, source: str | None = None) -> list[FailedImage]:
        """Images that could not be read at the last attempt, by key; of one `source` if given."""
        query = select(failures).order_by(failures.c.key)
        if source is not None:
            query = query.join(sources).where(sources.c.uri == source)
        with reading(self._engine) as connection:
            return [
                FailedImage(row.uri or row.key, row.reason, row.key)
                for row in connection.execute(query)
            ]

    def records(self, ids: Iterable[int]) -> dict[int, ImageRecord]:
        """The images with these ids, by id; removed ones are absent."""
        return self._records.get(possible_ids(ids))

    def present(self, ids: Sequence[int]) -> set[int]:
        """Those of the ids that exist in the gallery, without reading their records."""
        with reading(self._engine) as connection:
            return {
                image_id
                for part in parts(possible_ids(ids))
                for image_id in connection.execute(
                    select(images.c.id).where(images.c.id.in_(part))
                ).scalars()
            }

    def find(self, uri: str) -> ImageRecord | None:
        """The image with this key or, failing that, the first one with this URI."""
        with reading(self._engine) as connection:
            row = (
                connection.execute(RECORD.where(images.c.key == uri)).first()
                or connection.execute(
                    RECORD.where(images.c.uri == uri).order_by(images.c.id)
                ).first()
            )
        return None if row is None else as_record(row)

    def scan(self) -> Iterator[tuple[ImageRecord, IndexedImage]]:
        """Every image, ascending by id, without holding a transaction open between pages."""
        last, page = 0, SCAN.order_by(images.c.id).limit(ROWS_PER_STATEMENT)
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(page.where(images.c.id > last)).all()
            if not rows:
                return
            for row in rows:
                yield as_record(row), as_indexed_image(row)
            last = rows[-1].id

    def embeddings(self, ids: Sequence[int]) -> dict[int, Vectors]:
        """The embeddings of these images by id: (D,) float32 of unit norm."""
        return self._embeddings.get(possible_ids(ids))

    def region_embeddings(self, image_id: int) -> Vectors:
        """Embeddings of one image's regions, in their order: (R, D); (0, D) if it has none."""
        with reading(self._engine) as connection:
            return attachments.read_regions(connection, image_id, self.spec.dim)

    def sample(self, count: int) -> Vectors:
        """The embeddings of at most `count` images drawn at random: (N, D)."""
        with reading(self._engine) as connection:
            ids = np.array(connection.execute(select(embeddings.c.image_id)).scalars().all())
        if len(ids) > count:
            ids = np.sort(np.random.default_rng(0).choice(ids, count, replace=False))
        vectors = self.embeddings(ids.tolist())
        empty = np.empty((0, self.spec.dim), np.float32)
        return np.stack(list(vectors.values())) if vectors else empty

    def descriptors(self, ids: Sequence[int], method: str) -> dict[int, bytes]:
        """Encoded descriptors of these images, by id; images without are absent."""
        held = self._held.get(method, {})
        with reading(self._engine) as connection:
            stored = attachments.read_descriptors(connection, ids, method)
        if not held:
            return stored
        contents = self.records(image_id for image_id in ids if image_id in held)
        return stored | {
            image_id: held[image_id].data
            for image_id, record in contents.items()
            if held[image_id].content_hash.hex() == record.content
        }

    def without_descriptors(self, method: str) -> list[int]:
        """Ids of the images that have no descriptors by `method`, ascending."""
        with reading(self._engine) as connection:
            missing = attachments.without_descriptors(connection, method)
        if held := self.descriptors(list(self._held.get(method, ())), method):
            missing = [image_id for image_id in missing if image_id not in held]
        return missing

    def hold_descriptors(self, method: str, rows: Sequence[DescriptorRow]) -> None:
        """Keep descriptors in memory while the catalogue is open, where it can only be read."""
        self._held.setdefault(method, {}).update((row.image_id, row) for row in rows)

    def dismissed(self) -> list[Pair]:
        """Pairs of images marked as not duplicates; the smaller id first."""
        with reading(self._engine) as connection:
            return attachments.read_dismissals(connection)

    def without_regions(self) -> list[int]:
        """Ids of the images without embedded regions, ascending."""
        with reading(self._engine) as connection:
            return attachments.without_regions(connection)

    def catalog_images(self, keys: Sequence[str]) -> dict[str, CatalogImage]:
        """Complete images, for a lossless copy, by key."""
        with reading(self._engine) as connection:
            return {
                image.key: image
                for part in parts(keys)
                for image in images_by_key(connection, part)
            }

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A consistent view of the whole catalogue."""
        with reading(self._engine) as connection:
            yield Snapshot(connection, self.spec.dim)

    def check(self) -> list[str]:
        """Problems of the catalogue itself; empty if there are none."""
        with reading(self._engine) as connection:
            return problems(connection)

    def _read_state(self, keys: Sequence[None]) -> dict[None, _State]:
        with reading(self._engine) as connection:
            row = connection.execute(_STATE if self._has_remarks else _STATE_OF_5).one()
        config = GalleryConfig.from_json(row.config)
        return dict.fromkeys(keys, _State(row.generation, config, row.remarks))

    def _read_records(self, ids: Sequence[int]) -> dict[int, ImageRecord]:
        with reading(self._engine) as connection:
            return {
                row.id: as_record(row)
                for part in parts(ids)
                for row in connection.execute(RECORDS, {"ids": part})
            }

    def _read_embeddings(self, ids: Sequence[int]) -> dict[int, Vectors]:
        with reading(self._engine) as connection:
            rows = [
                row for part in parts(ids) for row in connection.execute(EMBEDDINGS, {"ids": part})
            ]
        vectors = decode([row.vector for row in rows], self.spec.dim)
        # Copies: a cached vector must not keep the whole page it was read with in memory.
        by_id = {row.image_id: vector.copy() for row, vector in zip(rows, vectors, strict=True)}
        for vector in by_id.values():
            vector.flags.writeable = False  # shared by all callers
        return by_id
