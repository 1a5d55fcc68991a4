"""Wrappers of embedders: opened on first use, or with added work before or after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec
from cbir.embedding.embedder import Embedder

__all__ = ["EmbedderWrapper", "LazyEmbedder"]


class EmbedderWrapper:
    """Base class of wrappers: delegates everything but `embed`, which a subclass defines."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner

    @property
    def spec(self) -> EmbeddingSpec:
        return self._inner.spec

    @property
    def device(self) -> str:
        return self._inner.device

    @property
    def parallelism(self) -> int:
        return self._inner.parallelism

    def describe(self) -> str:
        return self._inner.describe()


class LazyEmbedder:
    """An embedder that opens its network on first use.

    A run that finds nothing new, or a query by id, loads no network at all.
    """

    def __init__(self, spec: EmbeddingSpec, opener: Callable[[], Embedder]) -> None:
        self.spec = spec
        self._opener = opener
        self._inner: Embedder | None = None
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        return self.opened().device

    @property
    def parallelism(self) -> int:
        return self.opened().parallelism

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        return self.opened().embed(images)

    def describe(self) -> str:
        return self.opened().describe()

    def opened(self) -> Embedder:
        """The embedder, opened now if it has not been."""
        with self._lock:
            if self._inner is None:
                self._inner = self._opener()
            return self._inner
