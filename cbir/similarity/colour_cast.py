"""Colour casts: limits to how far another light changes channels against each other."""

from __future__ import annotations

import numpy as np

from cbir.similarity.correlation import Floats

__all__ = ["limited_cast"]

MAX_CAST = 1.5
"""Largest ratio between the gain of one channel and the geometric mean of all three."""


def limited_cast(gain: Floats) -> Floats:
    """Gains of the three channels, (3,), clipped to the range of a change of light."""
    common = np.exp(np.log(np.maximum(gain, 1e-3)).mean())
    return np.asarray(np.clip(gain, common / MAX_CAST, common * MAX_CAST), np.float32)
