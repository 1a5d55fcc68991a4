"""The catalogue: every image of a gallery with its metadata and embedding, in SQL.

It is the source of truth; indexes are derived from it. Each write is one transaction. A write that
changes vectors takes the next generation number, so that an index can read the changes after the
generation it has seen.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import URL, insert, inspect, select, update

from cbir.catalog import attachments, gallery_state, writes
from cbir.catalog.attachments import Pair
from cbir.catalog.engine import connect, dialect_of, place_of, reading, writing
from cbir.catalog.migrations import migrate
from cbir.catalog.reader import CatalogReader
from cbir.catalog.records import possible_ids
from cbir.catalog.rows import Batch, RegionRow
from cbir.catalog.schema import SCHEMA_VERSION, WITHOUT_REMARKS, metadata, sources, state
from cbir.config import GalleryConfig, Whitening
from cbir.embedding.whitening import Projection
from cbir.errors import GalleryExistsError, GalleryNotFoundError, GalleryReadOnlyError
from cbir.types import DescriptorRow

__all__ = ["Catalog"]


class Catalog(CatalogReader):
    """The SQL side of a gallery: opened, read and written."""

    @classmethod
    def create(cls, url: str | URL, config: GalleryConfig) -> Catalog:
        """Create an empty catalogue. Raises GalleryExistsError when there is one at `url`."""
        engine = connect(url)
        gallery_id = uuid.uuid4().hex
        with writing(engine) as connection:
            if inspect(connection).has_table(state.name):
                raise GalleryExistsError(
                    f"{place_of(engine)} is a gallery's catalogue already; open it instead"
                )
            metadata.create_all(connection)
            first = {
                "only": 1,
                "schema_version": SCHEMA_VERSION,
                "gallery_id": gallery_id,
                "generation": 0,
                "next_image_id": 1,
                "config": config.to_json(),
            }
            connection.execute(insert(state).values(first))
        return cls(engine, gallery_id, config.spec)

    @classmethod
    def open(cls, url: str | URL) -> Catalog:
        """Open an existing catalogue, and migrate it if an older cbir wrote it.

        One that can only be read is migrated in a temporary copy, which lasts while it is open.

        Raises GalleryNotFoundError when there is none, GalleryVersionError when a newer cbir
        wrote it.
        """
        engine = connect(url)
        if dialect_of(engine).is_missing(engine.url):
            raise GalleryNotFoundError(
                f"{place_of(engine)} is not a cbir catalogue: nothing is there"
            )
        with reading(engine) as connection:
            if not inspect(connection).has_table(state.name):
                raise GalleryNotFoundError(f"{place_of(engine)} is not a cbir catalogue")
            version = connection.execute(select(state.c.schema_version)).scalar_one()
        has_remarks = True
        if version != SCHEMA_VERSION:
            try:
                with writing(engine) as connection:
                    migrate(connection)
            except GalleryReadOnlyError as error:
                if version == WITHOUT_REMARKS:  # as it is but for the remarks
                    has_remarks = False
                else:
                    copy = dialect_of(engine).temporary_copy(engine)
                    with writing(copy) as connection:
                        migrate(connection)
                    engine = copy.execution_options(refuses_writes=error)
        with reading(engine) as connection:
            row = connection.execute(select(state.c.gallery_id, state.c.config)).one()
        spec = GalleryConfig.from_json(row.config).spec
        return cls(engine, row.gallery_id, spec, has_remarks=has_remarks)

    def check_writable(self) -> None:
        """Raise GalleryError, such as GalleryReadOnlyError, where nothing can be written now."""
        with writing(self._engine):
            pass

    def close(self) -> None:
        self._commits.close()
        self._engine.dispose()

    def write(self, source: str, batch: Batch) -> None:
        """Commit a batch of `source` (its URI) in one transaction: all of it or nothing."""
        if not batch:
            return
        with writing(self._engine) as connection:
            source_id = writes.source_id(connection, source)
            writes.write_moved(connection, source_id, batch.moved)
            writes.write_images(connection, source_id, batch.images)
            writes.write_touched(connection, source_id, batch.touched)
            writes.write_failures(connection, source_id, batch.failures)

    def change_metadata(self, image_id: int, changes: Mapping[str, Any]) -> bool:
        """Change fields of an image's metadata; None deletes one. False if there is no image."""
        with writing(self._engine) as connection:
            return writes.change_metadata(connection, image_id, changes)

    def write_descriptors(self, method: str, rows: Sequence[DescriptorRow]) -> None:
        """Replace descriptors of images by those in `rows`, computed by `method`.

        Rows of images that were removed, or whose content has changed meanwhile, are skipped.
        """
        if not rows:
            return
        with writing(self._engine) as connection:
            attachments.write_descriptors(connection, method, rows)

    def dismiss(self, pairs: Iterable[Pair]) -> int:
        """Mark pairs of images as not duplicates, until one of the two changes or is removed.

        Returns the number of new pairs. Pairs with removed images are skipped.
        """
        ordered = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
        with writing(self._engine) as connection:
            return attachments.write_dismissals(connection, ordered)

    def undismiss(self, pairs: Iterable[Pair]) -> int:
        """Undo `dismiss`. Returns how many of the pairs had been dismissed."""
        with writing(self._engine) as connection:
            ordered = sorted({(min(pair), max(pair)) for pair in pairs})
            return attachments.delete_dismissals(connection, ordered)

    def write_regions(self, rows: Sequence[RegionRow]) -> None:
        """Store the regions of images that have none yet; rows are skipped as for descriptors."""
        if not rows:
            return
        with writing(self._engine) as connection:
            attachments.write_regions(connection, rows)

    def set_key_column(self, source: str, column: str) -> None:
        """Set the column that holds the keys of a source's images; empty means their URIs."""
        with writing(self._engine) as connection:
            row = sources.c.id == writes.source_id(connection, source)
            connection.execute(update(sources).where(row).values(key_column=column or None))

    def remove(self, ids: Sequence[int], *, source: str | None = None) -> int:
        """Remove images, only of `source` (its URI) if given. Returns how many were removed."""
        with writing(self._engine) as connection:
            source_id = None if source is None else writes.source_id(connection, source)
            return writes.remove_images(connection, possible_ids(ids), source=source_id)

    def remove_failures(self, keys: Sequence[str]) -> int:
        """Delete failures, for example of removed files. Returns how many were deleted."""
        with writing(self._engine) as connection:
            return writes.remove_failures(connection, keys)

    def reserve_ids(self, below: int) -> None:
        """Reserve the ids below this one: new images get them only if their rows state them."""
        with writing(self._engine) as connection:
            gallery_state.reserve_ids(connection, below)

    def change_config(self, change: Callable[[GalleryConfig], GalleryConfig]) -> GalleryConfig:
        """Update the configuration in one transaction and return the new one.

        `change` is given the committed configuration and returns the new one; if it raises, nothing
        is written. Raises ValueError when it changes the spec or the whitening (`set_whitening`
        changes the latter).
        """
        with writing(self._engine) as connection:
            current = gallery_state.read_config(connection)
            changed = change(current)
            if (changed.spec, changed.whitening) != (current.spec, current.whitening):
                raise ValueError("change_config must keep a gallery's spec and whitening")
            if changed != current:
                gallery_state.write_config(connection, changed)
        return changed

    def set_whitening(self, whitening: Whitening | None, projection: Projection | None) -> None:
        """Set the projection that embeddings are compared by; None, None removes it.

        Takes a new generation, so that every index is rebuilt. Raises ValueError when `projection`
        is not the one that `whitening` names.
        """
        fitted = None if projection is None else projection.digest
        if fitted != (None if whitening is None else whitening.fitted):
            raise ValueError(f"the whitening names another projection than {fitted}")
        with writing(self._engine) as connection:
            gallery_state.next_generation(connection)
            gallery_state.write_projection(connection, projection)
            changed = replace(gallery_state.read_config(connection), whitening=whitening)
            gallery_state.write_config(connection, changed)
