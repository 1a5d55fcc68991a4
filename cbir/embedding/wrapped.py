"""An embedder around another: of the same space, on the same device."""

from __future__ import annotations

from cbir.config import EmbeddingSpec
from cbir.embedding.embedder import Embedder

__all__ = ["WrappedEmbedder"]


class WrappedEmbedder:
    """All of an `Embedder` but `embed`, said by the one within."""

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
