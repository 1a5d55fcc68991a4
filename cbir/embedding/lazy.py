"""An embedder that opens its network only when the first image comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec
from cbir.embedding.embedder import Embedder

__all__ = ["LazyEmbedder"]


class LazyEmbedder:
    """Stands for an embedder whose spec is known and whose network may never be needed.

    A run that finds nothing new and a query by id load no network at all.
    """

    def __init__(self, spec: EmbeddingSpec, opener: Callable[[], Embedder]) -> None:
        self.spec = spec
        self._opener = opener
        self._opened: Embedder | None = None
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        return self._embedder().device

    @property
    def parallelism(self) -> int:
        return self._embedder().parallelism

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        return self._embedder().embed(images)

    def describe(self) -> str:
        return self._embedder().describe()

    def _embedder(self) -> Embedder:
        with self._lock:
            if self._opened is None:
                self._opened = self._opener()
            return self._opened
