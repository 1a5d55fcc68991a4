"""Array types by meaning (vectors, ids, pixels), and normalisation to unit length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Ids", "Pixels", "Vectors", "normalised"]

Vectors = npt.NDArray[np.float32]
"""Embeddings (N, D), one embedding (D,), or similarities (Q, k)."""
Ids = npt.NDArray[np.int64]
"""Ids of images or regions: (N,) or (Q, k)."""
Pixels = npt.NDArray[np.uint8]
"""An image: (H, W, 3) RGB or (H, W) grey, values from 0 to 255."""


def normalised(vectors: Vectors) -> Vectors:
    """Rows scaled to unit length: (N, D) → (N, D) float32; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)
