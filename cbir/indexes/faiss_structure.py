"""The common base of structures in a FAISS index: files, lookups, filtered scans."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from cbir.arrays import Ids, Vectors
from cbir.indexes import index_files
from cbir.indexes.index_files import IndexManifest, Part

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FaissStructure"]

log = logging.getLogger(__name__)


class FaissStructure:
    """A FAISS index of unit vectors with ids, compared by inner product.

    The part of a `SearchStructure` that does not depend on the kind. `HnswIndex` and `IvfIndex` add
    building, searching and changing.
    """

    gathered_images = 2000
    gathered_part = 50
    """If a filter allows at most 2000 images, or one in 50, their vectors are gathered and
    compared: this costs less than a scan that skips the others."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def load(cls, folder: Path, manifest: IndexManifest) -> Self | None:
        part = manifest.parts.get("index")
        data = None if part is None else index_files.read_part(folder, part)
        if data is None:
            return None
        try:
            return cls(faiss.deserialize_index(data))
        except RuntimeError as error:  # FAISS raises this for an unreadable file
            log.info("%s: unreadable vector index (%s)", folder, error)
            return None

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self._index.add_with_ids(vectors, ids)

    def ids(self) -> Ids:
        raise NotImplementedError

    def count(self) -> int:
        return int(self._index.ntotal)

    def vectors(self, ids: Ids) -> Vectors:
        try:
            return np.asarray(self._index.reconstruct_batch(ids), dtype=np.float32)
        except RuntimeError as error:
            raise KeyError("not all of these images are in the index") from error

    def save(
        self,
        folder: Path,
        current: IndexManifest | None,
        *,
        searching: AbstractContextManager[object],
    ) -> Mapping[str, Part]:
        data = faiss.serialize_index(self._index)
        return {"index": index_files.write_part(folder, "index", ".faiss", data)}

    def close(self) -> None:
        self._index = None

    def _gathers(self, allowed: Ids) -> bool:
        """Whether to gather and compare the allowed images, rather than scan all of them."""
        return len(allowed) <= max(self.gathered_images, self.count() // self.gathered_part)

    def _compare_gathered(self, queries: Vectors, k: int, allowed: Ids) -> tuple[Vectors, Ids]:
        """The best k of the allowed images, whose vectors are looked up one by one."""
        present, vectors = self._gather(allowed)
        similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        if len(present):
            products = queries @ vectors.T
            best = np.argsort(-products, axis=1, kind="stable")[:, :k]
            similarities[:, : best.shape[1]] = np.take_along_axis(products, best, axis=1)
            ids[:, : best.shape[1]] = present[best]
        return similarities, ids

    def _gather(self, allowed: Ids) -> tuple[Ids, Vectors]:
        """Those of the ids that the index holds, with their vectors."""
        try:
            return allowed, self._index.reconstruct_batch(allowed)
        except RuntimeError:  # some are not in the index: rare, and checking first is expensive
            present = allowed[np.isin(allowed, self.ids())]
            return present, self._index.reconstruct_batch(present)
