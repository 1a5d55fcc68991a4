"""A vector index in local files, kept up to date with the catalogue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.snapshot import IndexedVectors
from cbir.config import available_cores
from cbir.embedding.whitening import Projection
from cbir.indexes import index_files
from cbir.indexes.index_files import IndexManifest
from cbir.indexes.protocol import Allowed, allowed_ids
from cbir.indexes.registry import (
    INDEXES,
    SMALLEST,
    IndexPlace,
    find_index,
    resolve_kind,
    structure_class,
)
from cbir.indexes.search_structure import SearchStructure
from cbir.types import Candidates

__all__ = ["LocalIndex"]

log = logging.getLogger(__name__)

LOAD_ATTEMPTS = 3
"""Number of attempts to load the files: another process may replace them after the manifest was
read."""


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """The index that the catalogue's configuration requires, as of one snapshot."""

    configured: str
    """Kind in the configuration, perhaps `auto`."""
    kind: str
    digest: str
    projection: Projection | None
    generation: int

    def fits(self, manifest: IndexManifest) -> bool:
        """Whether the files contain such an index, of this generation or an earlier one."""
        same = (manifest.kind, manifest.projection) == (self.kind, self.digest)
        return same and manifest.generation <= self.generation


class LocalIndex:
    """`VectorIndex` of any local kind: a search structure, its files and its locks."""

    def __init__(self, place: IndexPlace) -> None:
        """Nothing is read before the first `catch_up`."""
        self._folder = Path(place.location)
        self._dim = place.dim
        self._regions = place.regions
        self._catalog: Catalog | None = None
        self._lock = threading.Lock()
        """Locked while the structure is searched or changed."""
        self._catching_up = threading.Lock()
        """Locked while the index is brought up to date: reading the catalogue, building, saving."""
        self._structure: SearchStructure | None = None
        self._clear()

    def _clear(self) -> None:
        if self._structure is not None:
            self._structure.close()
        self._structure = None
        self._kind = SMALLEST
        self._generation = 0
        self._built_count = 0
        self._digest = ""
        self._projection: Projection | None = None
        self._checked = ""
        """The kind in the configuration that it was last compared with; empty since loading."""

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Load the files once, apply the changes since, and save them again.

        Searches meanwhile use the old structure. The kind is that of the catalogue's configuration,
        read in the same snapshot as the vectors.
        """
        with self._catching_up:
            _use_threads(available_cores())
            self._catalog = catalog
            if self._structure is None and not rebuild:
                self._load(catalog.gallery_id)
            with catalog.snapshot() as snapshot:
                configured = snapshot.index_kind
                seen = self._seen(snapshot.generation)
                if seen and self._checked == configured and not rebuild:
                    return
                rows = snapshot.regions(self._regions) if self._regions else snapshot
                digest, projection = snapshot.projection
                dim = self._dim if projection is None else projection.dim
                count = self.count() if seen else rows.count
                current = None if rebuild or self._structure is None else self._kind
                kind = resolve_kind(configured, count, dim, current)
                wanted = _Wanted(configured, kind, digest, projection, snapshot.generation)
                if not rebuild and not self._is(wanted):  # another process may have built it
                    self._load(catalog.gallery_id, wanted)
                if not rebuild and self._is(wanted):
                    self._projection, self._checked = projection, configured
                    if self._seen(snapshot.generation):
                        return
                    applied = self._apply(rows, snapshot.generation)
                else:
                    applied = False
                if not applied:
                    self._build(wanted, rows)
                self._generation = snapshot.generation
            self._save(catalog.gallery_id)

    def is_current(self, catalog: Catalog) -> bool:
        """Whether the index, or its files if it is not loaded, contain all changes."""
        if self._structure is not None:
            return self._checked == catalog.config.index and self._seen(catalog.generation())
        state = catalog.gallery_id, catalog.generation()
        return index_files.current_manifest(self._folder, *state) is not None

    def project(self, embeddings: Vectors) -> Vectors:
        return embeddings if self._projection is None else self._projection.apply(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Allowed | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each, equal ones by ascending id."""
        allowed = allowed_ids(allowed, self._catalog)
        width = min(k, self.count() if allowed is None else len(allowed), self.count())
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if width > 0:
            # FAISS's threads: more of them than queries would only wait for each other.
            many = len(queries) > 1
            _use_threads(min(len(queries), available_cores()) if many else 1)
            with self._lock:
                assert self._structure is not None  # the index is not empty
                compared = queries if projected else self.project(queries)
                compared = np.ascontiguousarray(compared, dtype=np.float32)
                scores, rows = self._structure.search(compared, width, allowed=allowed, exact=exact)
            scores = np.where(rows >= 0, scores, -np.inf)
            order = np.lexsort((rows, -scores), axis=1)
            ids[:, :width] = np.take_along_axis(rows, order, axis=1)
            similarities[:, :width] = np.take_along_axis(scores, order, axis=1)
        return Candidates(ids, similarities)

    def ids(self) -> Ids:
        return np.empty(0, np.int64) if self._structure is None else np.sort(self._structure.ids())

    def vectors(self, ids: Ids, regions: Ids | None = None) -> Vectors:
        """The projected vectors of these ids: (N,) → (N, d). Raises KeyError for unknown ids."""
        if regions is not None and regions.any():
            raise KeyError("this index has no regions of images")
        with self._lock:
            if self._structure is None and len(ids):
                raise KeyError("the index is empty")
            if self._structure is None or len(ids) == 0:
                dim = self._dim if self._structure is None else self._structure.dim
                return np.empty((0, dim), np.float32)
            return self._structure.vectors(ids)

    @property
    def projection(self) -> Projection | None:
        return self._projection

    @property
    def generation(self) -> int:
        return self._generation

    def count(self) -> int:
        return 0 if self._structure is None else self._structure.count()

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def exact(self) -> bool:
        return find_index(self._kind).exact

    def close(self) -> None:
        with self._catching_up, self._lock:
            self._clear()

    def _seen(self, generation: int) -> bool:
        return self._structure is not None and self._generation == generation

    def _is(self, wanted: _Wanted) -> bool:
        mine = self._kind, self._digest
        return self._structure is not None and mine == (wanted.kind, wanted.digest)

    def _build(self, wanted: _Wanted, rows: IndexedVectors) -> None:
        count, projection = rows.count, wanted.projection
        dim = self._dim if projection is None else projection.dim
        with suppress(OSError):  # the index then stays in memory, and saving logs why
            self._folder.mkdir(exist_ok=True)
        pages = _pages(rows, 0, projection)
        structure = structure_class(wanted.kind).build(self._folder, pages, dim, count)
        with self._lock:
            self._replace(structure, wanted.kind, wanted.digest, count)
            self._projection, self._checked = projection, wanted.configured

    def _replace(
        self, structure: SearchStructure, kind: str, digest: str, built_count: int
    ) -> None:
        old, self._structure = self._structure, structure
        self._kind, self._digest, self._built_count = kind, digest, built_count
        if old is not None:
            old.close()

    def _apply(self, rows: IndexedVectors, generation: int) -> bool:
        """Apply the changes up to a generation; False when a rebuild is needed or better."""
        structure, count = self._structure, rows.count
        if structure is None or self._generation > generation:
            return False
        if structure.needs_rebuild(count, self._built_count):
            return False
        with self._lock:
            present = structure.ids()
        gone = rows.removed_since(self._generation)
        gone = gone[np.isin(gone, present)]
        with self._lock:
            if len(gone) and not structure.remove(gone):
                return False
        present = present[np.isin(present, gone, invert=True)]
        for ids, vectors in _pages(rows, self._generation, self._projection):
            stale = ids[np.isin(ids, present)]
            with self._lock:
                if len(stale) and not structure.remove(stale):
                    return False
                structure.add(ids, vectors)
        return True

    def _load(self, gallery_id: str, wanted: _Wanted | None = None) -> None:
        """Load the files if they are of this gallery and, if `wanted` is given, fit it."""
        for _ in range(LOAD_ATTEMPTS):
            manifest = index_files.load_manifest(self._folder)
            if manifest is None or (manifest.gallery_id, manifest.dim) != (gallery_id, self._dim):
                return
            if manifest.kind not in INDEXES or (wanted and not wanted.fits(manifest)):
                return
            structure = structure_class(manifest.kind).load(self._folder, manifest)
            if structure is None:
                continue
            with self._lock:
                self._replace(structure, manifest.kind, manifest.projection, manifest.built_count)
                self._generation = manifest.generation
                self._projection = None if wanted is None else wanted.projection
                self._checked = "" if wanted is None else wanted.configured
            return

    def _save(self, gallery_id: str) -> None:
        assert self._structure is not None
        try:
            with index_files.saving(self._folder) as alone:
                if not alone:
                    return
                current = index_files.load_manifest(self._folder)
                manifest = IndexManifest(
                    gallery_id=gallery_id,
                    generation=self._generation,
                    kind=self._kind,
                    dim=self._dim,
                    count=self.count(),
                    built_count=self._built_count,
                    projection=self._digest,
                    parts=self._structure.save(self._folder, current, searching=self._lock),
                )
                index_files.save_manifest(self._folder, manifest)
        except OSError as error:
            # The next process then rebuilds it: slower, but correct.
            log.warning(
                "%s: vector index not saved (%s); until it is, every command builds it again",
                self._folder,
                error.strerror,
            )


def _use_threads(count: int) -> None:
    """Set the number of threads of FAISS, which is imported here: an index that is only asked
    whether it is up to date needs none of it."""
    import faiss

    faiss.omp_set_num_threads(count)


def _pages(
    rows: IndexedVectors, generation: int, projection: Projection | None
) -> Iterator[tuple[Ids, Vectors]]:
    """Pages of the vectors changed after a generation, projected."""
    for ids, vectors in rows.changed_since(generation):
        yield ids, vectors if projection is None else projection.apply(vectors)
