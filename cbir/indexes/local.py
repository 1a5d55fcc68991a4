"""A vector index in FAISS, kept in files beside the catalogue it is derived from."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import faiss
import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.snapshot import Rows
from cbir.config import IndexKind, available_cores
from cbir.embedding.whitening import Projection
from cbir.indexes import index_files
from cbir.indexes.faiss_structures import FaissStructure
from cbir.indexes.flat import FlatIndex
from cbir.indexes.index_files import IndexManifest
from cbir.indexes.pq import PqIndex
from cbir.indexes.protocol import BuiltKind, kind_for
from cbir.indexes.search_structure import SearchStructure
from cbir.types import Candidates

log = logging.getLogger(__name__)

IN_FILES: dict[str, type[FlatIndex]] = {"flat": FlatIndex, "pq": PqIndex}
"""Kinds that leave their vectors in a file, and are built piece by piece."""


class LocalIndex:
    """`VectorIndex` in FAISS. Searching from several threads is safe, also during a catch-up."""

    def __init__(self, folder: Path, dim: int, kind: IndexKind, *, regions: int = 0) -> None:
        """`folder` holds the index files; nothing is read before the first `catch_up`.

        With `regions`, the index is one of the regions that each image has so many of, and every
        id is that of a region (`region_rows`).
        """
        self._folder = folder
        self._regions = regions
        self._dim = dim
        self._asked = kind
        self._lock = threading.Lock()
        """Whoever searches or changes the index that is searched."""
        self._catching_up = threading.Lock()
        """Whoever brings it up to date: reads the catalogue, builds, saves."""
        self._index: SearchStructure | None = None
        self._clear()

    def _clear(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index = None
        self._generation = 0
        self._built_count = 0
        self._digest = ""
        self._projection: Projection | None = None

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Read the files if this process has not, apply what changed since, write them again.

        A missing, damaged, foreign or outdated file is not an error: the index is built anew
        from the catalogue's embeddings. `rebuild` does so in any case. Searches go on meanwhile,
        in the index as it was.
        """
        with self._catching_up:
            faiss.omp_set_num_threads(available_cores())
            if self._index is None and not rebuild:
                self._load(catalog.gallery_id)
            with catalog.snapshot() as snapshot:
                level = self._index is not None and self._generation == snapshot.generation
                if level and not rebuild and (self._projection is not None or not self._digest):
                    return
                rows = snapshot.regions(self._regions) if self._regions else snapshot
                digest, projection = snapshot.projection
                if digest == self._digest:
                    self._projection = projection
                    if level and not rebuild:  # its files, just read, hold no projection
                        return
                anew = rebuild or digest != self._digest
                if anew or not self._apply(rows, snapshot.generation):
                    self._build(rows, digest, projection)
                self._generation = snapshot.generation
            self._save(catalog.gallery_id)

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (N, D) → as this index compares them (N, d)."""
        return embeddings if self._projection is None else self._projection.apply(embeddings)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        allowed: Ids | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each, equal ones by ascending id.

        Among few images every one is compared; among many the index leaves out all others.
        """
        found = min(k, self.count() if allowed is None else len(allowed), self.count())
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if found > 0:
            # Of the calling thread; more than there are queries would only wait for each other.
            many = len(queries) > 1
            faiss.omp_set_num_threads(min(len(queries), available_cores()) if many else 1)
            with self._lock:
                assert self._index is not None  # it has images
                compared = queries if projected else self.project(queries)
                compared = np.ascontiguousarray(compared, dtype=np.float32)
                scores, rows = self._index.search(compared, found, allowed=allowed, exact=exact)
            scores = np.where(rows >= 0, scores, -np.inf)
            order = np.lexsort((rows, -scores), axis=1)
            ids[:, :found] = np.take_along_axis(rows, order, axis=1)
            similarities[:, :found] = np.take_along_axis(scores, order, axis=1)
        return Candidates(ids, similarities)

    def ids(self) -> Ids:
        return np.empty(0, np.int64) if self._index is None else np.sort(self._index.ids())

    def vectors(self, ids: Ids) -> Vectors:
        """The projected vectors of these images: (N,) → (N, d). Raises KeyError for others."""
        if self._index is None or len(ids) == 0:
            return np.empty((0, self._dim if self._index is None else self._index.dim), np.float32)
        with self._lock:
            return self._index.vectors(ids)

    @property
    def projection(self) -> Projection | None:
        """How embeddings become what this index holds; None where they stay as they are."""
        return self._projection

    @property
    def generation(self) -> int:
        """Of the catalogue, with which the index is level."""
        return self._generation

    def count(self) -> int:
        return 0 if self._index is None else self._index.count()

    @property
    def kind(self) -> BuiltKind:
        """What the index really is: `auto`, for example, chooses by size."""
        return "flat" if self._index is None else self._index.kind

    def close(self) -> None:
        with self._catching_up, self._lock:
            self._clear()

    def _build(self, rows: Rows, digest: str, projection: Projection | None) -> None:
        count = rows.count
        dim = self._dim if projection is None else projection.dim
        kind, pages = kind_for(self._asked, count, dim), _pages(rows, 0, projection)
        built: SearchStructure
        if kind in IN_FILES:
            with suppress(OSError):  # they stay in memory then, and saving says why
                self._folder.mkdir(exist_ok=True)
            built = IN_FILES[kind].build(self._folder, pages, dim)
        else:
            built = FaissStructure.build(kind, pages, dim, count)
        with self._lock:
            old, self._index = self._index, built
            self._projection, self._digest = projection, digest
            self._built_count = count
            if old is not None:
                old.close()

    def _apply(self, rows: Rows, generation: int) -> bool:
        """Bring the index up to a generation; False when building anew is the better way."""
        index, count = self._index, rows.count
        if index is None or self._generation > generation:
            return False
        wanted = kind_for(self._asked, count, index.dim, index.kind)
        if wanted != index.kind or index.needs_rebuild(count, self._built_count):
            return False
        with self._lock:
            there = index.ids()
        gone = rows.removed_since(self._generation)
        gone = gone[np.isin(gone, there)]
        with self._lock:
            if len(gone) and not index.forget(gone):
                return False
        there = there[np.isin(there, gone, invert=True)]
        for ids, vectors in _pages(rows, self._generation, self._projection):
            stale = ids[np.isin(ids, there)]
            with self._lock:
                if len(stale) and not index.forget(stale):
                    return False
                index.add(ids, vectors)
        return True

    def _load(self, gallery_id: str) -> None:
        for _ in range(3):  # another process may replace the files between our reads
            header = index_files.load_manifest(self._folder)
            if header is None or header.gallery_id != gallery_id or header.dim != self._dim:
                return
            self._index = IN_FILES.get(header.kind, FaissStructure).load(self._folder, header)
            if self._index is not None:
                break
        else:
            return
        self._generation = header.generation
        self._built_count = header.built_count
        self._digest = header.projection

    def _save(self, gallery_id: str) -> None:
        assert self._index is not None
        try:
            with index_files.saving(self._folder) as alone:
                if not alone:
                    return
                current = index_files.load_manifest(self._folder)
                header = IndexManifest(
                    gallery_id=gallery_id,
                    generation=self._generation,
                    kind=self._index.kind,
                    dim=self._dim,
                    count=self.count(),
                    built_count=self._built_count,
                    projection=self._digest,
                    parts=self._index.save(self._folder, current, searching=self._lock),
                )
                index_files.save_manifest(self._folder, header)
        except OSError as error:
            # The next process builds it again: slower, never wrong.
            log.warning("%s: vector index not saved (%s)", self._folder, error.strerror)


def _pages(
    rows: Rows, generation: int, projection: Projection | None
) -> Iterator[tuple[Ids, Vectors]]:
    """What changed after a generation, as an index compares it."""
    for ids, vectors in rows.changed_since(generation):
        yield ids, vectors if projection is None else projection.apply(vectors)
