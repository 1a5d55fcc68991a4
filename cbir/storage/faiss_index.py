"""A vector index in FAISS, kept in a file beside the catalogue it is derived from."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np

from cbir.config import IndexKind, available_cores
from cbir.storage import index_file
from cbir.storage.catalog import Catalog
from cbir.storage.faiss_kinds import build, can_forget, search, stored_ids
from cbir.storage.index_file import IndexHeader
from cbir.storage.projection import Projection
from cbir.storage.snapshot import Snapshot
from cbir.storage.vectors import BuiltKind, Ids, Vectors, kind_for
from cbir.types import Candidates

log = logging.getLogger(__name__)

REBUILD_GROWTH = 4
"""An inverted file whose gallery grew this many times needs new lists."""


class FaissIndex:
    """`VectorIndex` in FAISS. Searching from several threads is safe, also during a catch-up."""

    def __init__(self, folder: Path, dim: int, kind: IndexKind) -> None:
        """`folder` holds the index files; nothing is read before the first `catch_up`."""
        self._folder = folder
        self._dim = dim
        self._asked = kind
        self._lock = threading.Lock()
        self._clear()
        faiss.omp_set_num_threads(available_cores())

    def _clear(self) -> None:
        self._index: Any = None
        self._kind: BuiltKind = "flat"
        self._generation = 0
        self._built_count = 0
        self._digest = ""
        self._projection: Projection | None = None

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        """Read the file if this process has not, apply what changed since, write it again.

        A missing, damaged, foreign or outdated file is not an error: the index is built anew
        from the catalogue's embeddings. `rebuild` does so in any case.
        """
        with self._lock:
            if rebuild:
                self._clear()
            elif self._index is None:
                self._load(catalog.gallery_id)
            with catalog.snapshot() as snapshot:
                level = self._index is not None and self._generation == snapshot.generation
                if level and (self._projection is not None or not self._digest):
                    return
                digest, self._projection = snapshot.projection
                if digest != self._digest:
                    self._index, self._digest = None, digest
                elif level:  # read from its file just now, which holds no projection
                    return
                if not self._apply(snapshot):
                    self._build(snapshot)
                self._generation = snapshot.generation
            self._save(catalog.gallery_id)

    def project(self, embeddings: Vectors) -> Vectors:
        """Embeddings as the network gives them (N, D) → as this index compares them (N, d)."""
        return embeddings if self._projection is None else self._projection.apply(embeddings)

    def search(
        self, queries: Vectors, k: int, *, among: Ids | None = None, exact: bool = False
    ) -> Candidates:
        """(Q, d) projected vectors → the k nearest of each, equal ones by ascending id.

        Among few images every one is compared; among many the index leaves out all others.
        """
        found = min(k, self.count() if among is None else len(among), self.count())
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if found > 0:
            queries = np.ascontiguousarray(queries, dtype=np.float32)
            with self._lock:
                scores, rows = search(self._index, queries, found, among=among, exact=exact)
            scores = np.where(rows >= 0, scores, -np.inf)
            order = np.lexsort((rows, -scores), axis=1)
            ids[:, :found] = np.take_along_axis(rows, order, axis=1)
            similarities[:, :found] = np.take_along_axis(scores, order, axis=1)
        return Candidates(ids, similarities)

    def ids(self) -> Ids:
        return np.empty(0, np.int64) if self._index is None else np.sort(stored_ids(self._index))

    def vectors(self, ids: Ids) -> Vectors:
        """The projected vectors of these images: (N,) → (N, d). Raises KeyError for others."""
        if len(ids) == 0:
            return np.empty((0, self._dim if self._index is None else self._index.d), np.float32)
        with self._lock:
            try:
                return np.asarray(self._index.reconstruct_batch(ids), dtype=np.float32)
            except RuntimeError as error:
                raise KeyError("not all of these images are in the index") from error

    def count(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    @property
    def kind(self) -> BuiltKind:
        """What the index really is: `auto`, for example, chooses by size."""
        return self._kind

    def close(self) -> None:
        with self._lock:
            self._clear()

    def _build(self, snapshot: Snapshot) -> None:
        self._kind = kind_for(self._asked, snapshot.count)
        dim = self._dim if self._projection is None else self._projection.dim
        self._index = build(self._kind, self._pages(snapshot, 0), dim, snapshot.count)
        self._built_count = snapshot.count

    def _apply(self, snapshot: Snapshot) -> bool:
        """Bring the index up to the snapshot; False when building anew is the better way."""
        if self._index is None or self._generation > snapshot.generation:
            return False
        outgrown = snapshot.count > REBUILD_GROWTH * max(1, self._built_count)
        if kind_for(self._asked, snapshot.count) != self._kind or (
            outgrown and self._kind == "ivf"
        ):
            return False
        there = set(stored_ids(self._index).tolist())
        gone = there.intersection(snapshot.removed_since(self._generation))
        if gone and not self._forget(gone):
            return False
        for ids, vectors in self._pages(snapshot, self._generation):
            # FAISS would keep both the old and the new vector of an image embedded anew.
            stale = there.intersection(ids.tolist())
            if stale and not self._forget(stale):
                return False
            self._index.add_with_ids(vectors, ids)
        return True

    def _pages(self, snapshot: Snapshot, generation: int) -> Iterator[tuple[Ids, Vectors]]:
        for ids, vectors in snapshot.changed_since(generation):
            yield ids, self.project(vectors)

    def _forget(self, ids: set[int]) -> bool:
        if not can_forget(self._kind):
            return False
        self._index.remove_ids(np.fromiter(ids, dtype=np.int64))
        return True

    def _load(self, gallery_id: str) -> None:
        loaded = index_file.load(self._folder)
        if loaded is None:
            return
        header, data = loaded
        if header.gallery_id != gallery_id or header.dim != self._dim:
            return
        try:
            index = faiss.deserialize_index(data)
        except RuntimeError as error:  # FAISS's own word for a file it cannot read
            log.info("%s: unreadable vector index (%s)", self._folder, error)
            return
        self._index = index
        self._kind = cast(BuiltKind, header.kind)
        self._generation = header.generation
        self._built_count = header.built_count
        self._digest = header.projection

    def _save(self, gallery_id: str) -> None:
        header = IndexHeader(
            gallery_id=gallery_id,
            generation=self._generation,
            kind=self._kind,
            dim=self._dim,
            count=self.count(),
            built_count=self._built_count,
            projection=self._digest,
        )
        try:
            index_file.save(self._folder, header, faiss.serialize_index(self._index))
        except OSError as error:
            # The next process builds it again: slower, never wrong.
            log.warning("%s: vector index not saved (%s)", self._folder, error.strerror)
