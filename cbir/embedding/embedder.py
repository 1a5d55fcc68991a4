"""The protocol of embedders, which all runtimes satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec

__all__ = ["Embedder", "Precision", "Runtime", "run_once"]

Runtime = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]


class Embedder(Protocol):
    """Computes embeddings of one embedding space. Thread-safe."""

    @property
    def spec(self) -> EmbeddingSpec: ...

    @property
    def device(self) -> str:
        """The device it runs on: `cpu`, or a GPU as `cuda:0`."""
        ...

    @property
    def parallelism(self) -> int:
        """Number of threads that should call `embed` concurrently."""
        ...

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1; no images give (0, D)."""
        ...

    def describe(self) -> str:
        """Runtime and precision for display: `openvino bf16, 2 streams`."""
        ...


def run_once(embedder: Embedder) -> None:
    """Embeds a blank image, so that the slow first run is over before a query."""
    side = embedder.spec.preprocessing.crop
    embedder.embed([np.zeros((side, side, 3), np.uint8)])
