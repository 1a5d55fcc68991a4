"""Stacks images into a batch for a network, and scales its outputs to unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.errors import BackboneError

__all__ = ["check_images", "stack_images", "unit_rows"]


def check_images(images: Sequence[Pixels], side: int) -> None:
    """Raises ValueError for an image that is not uint8 (side, side, 3)."""
    for image in images:
        if image.shape != (side, side, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"an image is {image.dtype} {image.shape}, this backbone takes uint8 "
                f"{(side, side, 3)}; cbir.images.decode prepares it"
            )


def stack_images(images: Sequence[Pixels], side: int) -> Pixels:
    """N × uint8 (side, side, 3) → (N, side, side, 3). Raises ValueError for any other shape."""
    check_images(images, side)
    return np.stack(images) if images else np.empty((0, side, side, 3), np.uint8)


def unit_rows(vectors: Vectors) -> Vectors:
    """(N, D) → (N, D) float32, every row of L2 norm 1. Raises BackboneError if not finite.

    A row of zeros (an image without any response of the network) becomes the constant unit vector
    1/√D, so that two such images are alike and no NaN arises.
    """
    rows = vectors.astype(np.float32, copy=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise BackboneError(
            "the network's output is not finite: its weights hold NaN, or the precision is too "
            "narrow for them; try precision fp32, or other weights"
        )
    blank = norms[:, 0] < 1e-12
    rows[blank], norms[blank] = 1.0, np.sqrt(rows.shape[1])
    rows /= norms
    return rows
