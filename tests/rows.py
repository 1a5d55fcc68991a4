"""Catalogue rows for tests: tiny embeddings that are easy to tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from cbir.catalog.rows import Batch, ImageRow
from cbir.config import EmbeddingSpec, GalleryConfig, Preprocessing
from cbir.types import Hit, ImageVersion

DIM = 16


def spec(dim: int = DIM) -> EmbeddingSpec:
    return EmbeddingSpec("tiny_image", "none", "none", dim, Preprocessing(32, 32))


def config(kind: str = "auto", *, dim: int = DIM) -> GalleryConfig:
    return GalleryConfig(spec(dim), None, kind)


def unit(seed: int, dim: int = DIM) -> npt.NDArray[np.float32]:
    """A unit vector of its own for every seed."""
    vector = np.random.default_rng(seed).normal(size=dim).astype(np.float32)
    return np.asarray(vector / np.float32(np.linalg.norm(vector)))


def row(
    uri: str,
    embedding: npt.NDArray[np.float32],
    *,
    metadata: Mapping[str, Any] | None = None,
    regions: npt.NDArray[np.float32] | None = None,
) -> ImageRow:
    return ImageRow(
        key=uri,
        uri=uri,
        name=PurePosixPath(uri).name,
        version=ImageVersion(100, 1),
        content_hash=uri.encode().ljust(16, b"\0")[:16],
        width=40,
        height=30,
        metadata=metadata or {},
        embedding=embedding,
        regions=regions,
    )


def batch(*rows: ImageRow) -> Batch:
    return Batch(images=list(rows))


def rounded(hits: Sequence[Hit]) -> list[Hit]:
    """Hits without the last bits of their similarities, which depend on where a vector lies."""
    return [replace(hit, similarity=round(hit.similarity, 5), confidence=None) for hit in hits]
