"""Two kinds of index as somebody outside of the package would write them, in one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.indexes import index_files
from cbir.indexes.index_files import IndexManifest, Part
from cbir.indexes.protocol import Allowed, allowed_ids
from cbir.indexes.registry import IndexPlace
from cbir.types import Candidates

Array = np.ndarray[Any, Any]


def nearest(
    table: dict[int, Array], queries: Array, k: int, allowed: Array | None
) -> tuple[Array, Array]:
    """The k nearest of vectors by id: similarities and ids (Q, k), equal ones by ascending id."""
    ids = np.array(sorted(table if allowed is None else set(table) & set(allowed.tolist())), int)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    found = np.full((len(queries), k), -1, np.int64)
    if len(ids):
        products = queries @ np.stack([table[i] for i in ids.tolist()]).T
        best = np.argsort(-products, axis=1, kind="stable")[:, :k]
        scores[:, : best.shape[1]] = np.take_along_axis(products, best, axis=1)
        found[:, : best.shape[1]] = ids[best]
    return scores, found


class DictStructure:
    """A local kind: a dictionary, which the package keeps in files and brings up to date."""

    def __init__(self, dim: int, table: dict[int, Array]) -> None:
        self.dim = dim
        self.table = table

    @classmethod
    def build(
        cls, folder: Path, pages: Iterable[tuple[Array, Array]], dim: int, count: int
    ) -> DictStructure:
        structure = cls(dim, {})
        for ids, vectors in pages:
            structure.add(ids, vectors)
        return structure

    @classmethod
    def load(cls, folder: Path, manifest: IndexManifest) -> DictStructure | None:
        arrays = []
        for name, dtype in (("ids", "<i8"), ("vectors", "<f4")):
            data = index_files.read_part(folder, manifest.parts[name])
            if data is None:
                return None
            arrays.append(np.array(data).view(dtype))
        ids, numbers = arrays
        vectors = numbers.reshape(len(ids), -1)
        dim = vectors.shape[1] if len(ids) else manifest.dim
        return cls(dim, dict(zip(ids.tolist(), vectors, strict=True)))

    def search(
        self, queries: Array, k: int, *, allowed: Array | None = None, exact: bool = False
    ) -> tuple[Array, Array]:
        return nearest(self.table, queries, k, allowed)

    def add(self, ids: Array, vectors: Array) -> None:
        self.table.update(zip(ids.tolist(), vectors.copy(), strict=True))

    def remove(self, ids: Array) -> bool:
        for image in ids.tolist():
            del self.table[image]
        return True

    def needs_rebuild(self, count: int, built_count: int) -> bool:
        return False

    def ids(self) -> Array:
        return np.array(list(self.table), np.int64)

    def count(self) -> int:
        return len(self.table)

    def vectors(self, ids: Array) -> Array:
        return np.stack([self.table[image] for image in ids.tolist()])

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        vectors = np.array(list(self.table.values()), "<f4").reshape(-1)
        parts = {"ids": self.ids().astype("<i8"), "vectors": vectors}
        return {
            name: index_files.write_part(folder, name, ".bin", data.view(np.uint8))
            for name, data in parts.items()
        }

    def close(self) -> None:
        self.table = {}


class ServerIndex:
    """A kind that keeps its vectors elsewhere: on a "server", of which there is one per address."""

    kind = "server"
    exact = True
    servers: ClassVar[dict[str, dict[int, Array]]] = {}
    states: ClassVar[dict[str, tuple[str, int, str]]] = {}
    """By address: gallery, generation and digest of the projection."""

    def __init__(self, place: IndexPlace) -> None:
        self.address = f"{place.location}#{place.regions}"
        self.place = place
        self.projection: Any = None
        self.catalog: Catalog | None = None

    @property
    def table(self) -> dict[int, Array]:
        return self.servers.setdefault(self.address, {})

    @property
    def generation(self) -> int:
        return self.states.get(self.address, ("", 0, ""))[1]

    def catch_up(self, catalog: Catalog, *, rebuild: bool = False) -> None:
        self.catalog = catalog
        with catalog.snapshot() as snapshot:
            regions = self.place.regions
            rows = snapshot.regions(regions) if regions else snapshot
            digest, self.projection = snapshot.projection
            gallery, generation, old = self.states.get(self.address, ("", 0, ""))
            if rebuild or (gallery, old) != (catalog.gallery_id, digest):
                self.table.clear()
                generation = 0
            for image in rows.removed_since(generation).tolist():
                self.table.pop(image, None)
            for ids, vectors in rows.changed_since(generation):
                self.table.update(zip(ids.tolist(), self.project(vectors.copy()), strict=True))
            self.states[self.address] = (catalog.gallery_id, snapshot.generation, digest)

    def is_current(self, catalog: Catalog) -> bool:
        return self.catalog is not None and self.generation == catalog.generation()

    def project(self, embeddings: Array) -> Array:
        return embeddings if self.projection is None else self.projection.apply(embeddings)

    def search(
        self,
        queries: Array,
        k: int,
        *,
        allowed: Allowed | None = None,
        exact: bool = False,
        projected: bool = True,
    ) -> Candidates:
        compared = queries if projected else self.project(queries)
        found = nearest(self.table, compared, k, allowed_ids(allowed, self.catalog))
        return Candidates(found[1], found[0])

    def ids(self) -> Array:
        return np.array(sorted(self.table), np.int64)

    def vectors(self, ids: Array, regions: Array | None = None) -> Array:
        if regions is not None and regions.any():
            raise KeyError("no regions")
        dim = self.place.dim if self.projection is None else self.projection.dim
        stored = [self.table[image] for image in ids.tolist()]
        return np.stack(stored) if stored else np.empty((0, dim), np.float32)

    def count(self) -> int:
        return len(self.table)

    def close(self) -> None:
        self.catalog = None
