"""The indexes of one gallery: opens them and brings them up to date."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from cbir.catalog.catalog import Catalog
from cbir.config import GalleryConfig
from cbir.errors import OptionError
from cbir.indexes import background, index_files
from cbir.indexes.background import Background
from cbir.indexes.index_or_scan import IndexOrScan
from cbir.indexes.protocol import VectorIndex
from cbir.indexes.registry import (
    INDEXES,
    LOCAL,
    IndexPlace,
    find_index,
    open_index,
    opened_by,
    resolve_kind,
)
from cbir.messages import advised

__all__ = ["IMAGES", "REGIONS", "GalleryIndexes"]

IMAGES = "vectors"
REGIONS = "regions"
"""Names of the two indexes' folders in the gallery's folder."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The opened indexes of a gallery, for one configuration."""

    wanted: tuple[str, int]
    """(`module:Class` that opens them, number of regions per image)."""
    images: VectorIndex
    regions: VectorIndex | None
    searched: VectorIndex


class GalleryIndexes:
    """The indexes of one gallery: of whole images and, where it has them, of regions.

    They are opened on first use, and again after any process has given the gallery another kind of
    index, or regions. Every index returned is up to date, except after `stop_waiting`.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder
        self._catalog = catalog
        self._opening = threading.Lock()
        self._opened: _Opened | None = None
        self._waits = True
        self._config: GalleryConfig | None = None
        self._background: Background | None = None

    def stop_waiting(self) -> None:
        """Let searches use the indexes as they are from now on, without bringing them up to date.

        Until `update` has been called once, they scan the catalogue.
        """
        self._waits = False
        self.close()

    def images(self) -> VectorIndex:
        """The index of whole images."""
        return self._current(self._open().images)

    def regions(self) -> VectorIndex | None:
        """The index of the regions alone, with the ids of `region_rows`, if there are any."""
        regions = self._open().regions
        return None if regions is None else self._current(regions)

    def searched(self) -> VectorIndex:
        """The index for searches: of whole images, with their regions if there are any."""
        return self._current(self._open().searched)

    @property
    def config(self) -> GalleryConfig:
        """The configuration as last committed; after `stop_waiting`, as of the last `update`."""
        return self._config or self._catalog.config

    def update(self) -> None:
        """Bring all indexes and their files up to date; current ones are not loaded."""
        config = self._catalog.config
        with self._opening:
            opened = self._opened_for(config)
            if self._waits:
                self._opened = opened
        for index in (opened.images, opened.searched):
            if not index.is_current(self._catalog):
                index.catch_up(self._catalog)
        with self._opening:
            self._opened = opened
            self._config = None if self._waits else config

    def rebuild(self) -> None:
        """Rebuild all indexes from the catalogue."""
        self._open().searched.catch_up(self._catalog, rebuild=True)

    def kind(self) -> str:
        """Kind of the index for searches; predicted where its files are not up to date.

        Loads no index.
        """
        config = self._catalog.config
        folders = (IMAGES, REGIONS) if config.regions else (IMAGES,)
        kinds = [
            self._saved_kind(folder, config) or self._predicted_kind(folder, config)
            for folder in folders
        ]
        return next((kind for kind in kinds if not find_index(kind).exact), kinds[-1])

    def background(self) -> Background:
        """A sample of the gallery as of its last search, for the confidence of hits.

        Drawn once, and again after a change; it is not stored.
        """
        # Not brought up to date, so that all hits of one search use one background.
        index = self.images() if self._opened is None else self._opened.images
        if index.generation == 0:  # not caught up yet
            index = self.images()
        drawn = self._background
        if drawn is None or drawn.generation != index.generation:
            self._background = drawn = background.draw(index)
        return drawn

    def close(self) -> None:
        """Release memory, files and threads; the indexes are opened again when needed."""
        with self._opening:
            opened, self._opened, self._background = self._opened, None, None
        if opened is not None:
            opened.searched.close()

    def _current(self, index: VectorIndex) -> VectorIndex:
        if self._waits:
            index.catch_up(self._catalog)
        return index

    def _open(self) -> _Opened:
        with self._opening:
            self._opened = opened = self._opened_for(self.config)
            return opened

    def _opened_for(self, config: GalleryConfig) -> _Opened:
        """The indexes of a configuration, opened if necessary.

        Replaced indexes are not closed: other threads may still be searching them.
        """
        old, count, dim = self._opened, len(config.regions), config.spec.dim
        wanted = self._opened_by(config), count
        if old is not None and old.wanted == wanted:
            return old
        if old is not None and old.wanted[0] == wanted[0]:
            images = old.images
        else:
            place = IndexPlace(self._folder / IMAGES, dim)
            images = self._searchable(open_index(config.index, place))
        if not count:
            return _Opened(wanted, images, None, images)
        from cbir.indexes.regions import RegionIndex

        whole = images.index if isinstance(images, IndexOrScan) else images
        regions = open_index(config.index, IndexPlace(self._folder / REGIONS, dim, count))
        searched = self._searchable(RegionIndex(whole, regions, count))
        return _Opened(wanted, images, regions, searched)

    def _searchable(self, index: VectorIndex) -> VectorIndex:
        return index if self._waits else IndexOrScan(index, self._catalog)

    def _opened_by(self, config: GalleryConfig) -> str:
        """`module:Class` that opens the gallery's kind of index. Raises OptionError if unknown."""
        try:
            return opened_by(config.index)
        except OptionError as error:
            rebuild = advised("rebuild", "--index", "auto", gallery=self._folder)
            step = f"{rebuild} builds another index"
            message = f"gallery {self._folder}: {error}; {step}"
            raise OptionError(message, public=str(error)) from None

    def _saved_kind(self, folder: str, config: GalleryConfig) -> str | None:
        """Kind of an index whose files are up to date, or that has no files."""
        if self._opened_by(config) != LOCAL:
            return config.index
        state = self._catalog.gallery_id, self._catalog.generation()
        manifest = index_files.current_manifest(self._folder / folder, *state)
        return None if manifest is None or manifest.kind not in INDEXES else manifest.kind

    def _predicted_kind(self, folder: str, config: GalleryConfig) -> str:
        """Kind of an index that would be built now."""
        with self._catalog.snapshot() as snapshot:
            rows = snapshot.regions(len(config.regions)) if folder == REGIONS else snapshot
            _, projection = snapshot.projection
            dim = config.spec.dim if projection is None else projection.dim
            return resolve_kind(config.index, rows.count, dim)
