"""Centring and whitening of embeddings before they are compared.

The catalogue stores embeddings as the network gave them, an index stores them projected. A change
of the projection rebuilds the index; nothing is embedded again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbir.arrays import Vectors, normalised
from cbir.config import Whitening

MIN_IMAGES = 50
"""Least number of images to fit on. Fewer do not represent the mean of all, and centring would move
similar images apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """x → ‖P (x - m)‖: centring by the mean m (D,), then the directions P (d, D), if any."""

    mean: Vectors
    directions: Vectors | None

    @property
    def dim(self) -> int:
        """Dimension of the vectors that `apply` returns."""
        return len(self.mean) if self.directions is None else len(self.directions)

    def apply(self, vectors: Vectors) -> Vectors:
        """(N, D) → (N, d) float32, unit norm."""
        centred = vectors - self.mean
        if self.directions is not None:
            centred = centred @ self.directions.T
        return normalised(centred)

    def to_bytes(self) -> bytes:
        """The mean and the directions as float32, little-endian."""
        rows = [self.mean[None]] + ([] if self.directions is None else [self.directions])
        return np.concatenate(rows).astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, dim: int) -> Projection:
        """The inverse of `to_bytes`, for embeddings of `dim` dimensions."""
        rows = np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, dim)
        return cls(rows[0], rows[1:] if len(rows) > 1 else None)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that identify this projection."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]


def fit(vectors: Vectors, whitening: Whitening) -> Projection:
    """Fit a projection on unit vectors (N, D).

    With the principal directions u_i and variances λ_i of the centred vectors (Jégou & Chum 2012),
    λ_i ← (1 - shrink) λ_i + shrink · mean(λ), and the rows of P are u_i / λ_i^(power / 2). Raises
    ValueError for fewer than 50 vectors or nonsensical parameters.
    """
    if len(vectors) < MIN_IMAGES:
        raise ValueError(f"{len(vectors)} images are too few to fit on; index {MIN_IMAGES} or more")
    if not 0 <= whitening.power <= 1 or not 0 <= whitening.shrink <= 1:
        raise ValueError("power and shrink lie between 0 and 1")
    if whitening.dims is not None and whitening.dims < 1:
        raise ValueError(f"dims is {whitening.dims}; keep at least one direction")
    mean = vectors.mean(axis=0)
    if whitening.power == 0 and whitening.dims is None:
        return Projection(mean, None)
    variances, columns = _principal_directions((vectors - mean).astype(np.float64))
    # Directions beyond the rank of the sample are rounding errors.
    rank = max(1, int((variances > 1e-9 * variances[0]).sum()))
    dims = min(rank, len(vectors) - 1, whitening.dims or rank)
    pulled = (1 - whitening.shrink) * variances + whitening.shrink * variances[:rank].mean()
    scaled = columns[:, :dims] / pulled[:dims] ** (whitening.power / 2)
    return Projection(mean, np.ascontiguousarray(scaled.T, dtype=np.float32))


def _principal_directions(
    centred: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Variances (r,), the largest first, and their directions as columns (D, r) of (N, D)."""
    count, dim = centred.shape
    if count < dim:  # fewer vectors than dimensions: the smaller Gram matrix suffices
        _, scales, rows = np.linalg.svd(centred, full_matrices=False)
        return scales**2 / count, rows.T
    variances, columns = np.linalg.eigh(centred.T @ centred / count)
    return np.maximum(variances[::-1], 0), columns[:, ::-1]
