"""The cosine of two embeddings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["cosine"]


def cosine(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Cosine similarity of two vectors (D,): a · b / (‖a‖ ‖b‖), in [-1, 1].

    0 if one of them is zero and so has no direction. Raises ValueError for different dimensions.
    """
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"vectors of shape {a.shape} and {b.shape} have no cosine; "
            "embed both images by the same backbone and pooling"
        )
    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.clip(x @ y / norms, -1.0, 1.0)) if norms > 0 else 0.0
