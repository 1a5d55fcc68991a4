"""Matching of local features by appearance: tentative matches, which are verified later."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from cbir.similarity.keypoints import KEYPOINTS, LocalFeatures
from cbir.similarity.opencv import opencv

__all__ = ["RATIO", "Matches", "match"]

Matches = npt.NDArray[np.int32]
"""(M, 2): indices of a keypoint in the first image and of its match in the second."""

_memory = threading.local()

RATIO = 0.8
"""Ratio test of Lowe 2004, section 7.1: drops 90 % of false matches, under 5 % of true ones."""


def match(
    a: LocalFeatures, b: LocalFeatures, *, ratio: float = RATIO, mutual: bool = True
) -> Matches:
    """Tentative matches (M, 2) between two images, in the order of a's keypoints.

    The nearest neighbour in b of a feature of a is its match if it is nearer than `ratio` times
    the second nearest (Lowe 2004), by Euclidean distance for SIFT and Hamming distance for ORB.
    With `mutual` each must be the other's nearest, and one of them pass the test: match(a, b) is
    match(b, a) with its columns exchanged, and no keypoint is matched twice. In an image with
    fewer than two features there is no second nearest, and no match. Raises ValueError when the
    two were extracted by different methods.
    """
    if a.method != b.method:
        raise ValueError(f"{a.method} and {b.method} cannot be matched; extract both by one method")
    if min(len(a), len(b)) < 2:
        return np.empty((0, 2), np.int32)
    nearness = _nearness(a, b)  # in memory of this thread, which the next call overwrites
    # 1 - nearness is half the squared distance of unit vectors, or the Hamming distance / 128.
    power = 2 if KEYPOINTS[a.method].distance == "euclidean" else 1
    forward, passes = _nearest(nearness, ratio**power)
    if mutual:
        turned = opencv().transpose(nearness, dst=_table("turned", len(b), len(a)))
        backward, passes_back = _nearest(turned, ratio**power)
        passes = (passes | passes_back[forward]) & (backward[forward] == np.arange(len(a)))
    (rows,) = np.nonzero(passes)
    return np.stack([rows, forward[rows]], axis=1).astype(np.int32)


def _nearness(a: LocalFeatures, b: LocalFeatures) -> npt.NDArray[np.float32]:
    """The scalar products of unit descriptors, (Na, Nb).

    Computed by OpenCV, in the calling thread. NumPy starts a thread per core that waits by
    spinning: under load its median was 16 ms, against 1.3 ms for this.
    """
    cv2 = opencv()
    table = _table("nearness", len(a), len(b))
    rows, columns = _unit_rows(a), _unit_rows(b)
    filled = cv2.gemm(rows, columns, 1.0, None, 0.0, dst=table, flags=cv2.GEMM_2_T)
    return np.asarray(filled, np.float32)


def _table(name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """A (rows, columns) array in memory that this thread reuses.

    To allocate 2 MB each time would take as long as the product that fills it.
    """
    memory: npt.NDArray[np.float32] | None = getattr(_memory, name, None)
    if memory is None or memory.size < rows * columns:
        memory = np.empty(rows * columns, np.float32)
        setattr(_memory, name, memory)
    return memory[: rows * columns].reshape(rows, columns)


def _unit_rows(features: LocalFeatures) -> npt.NDArray[np.float32]:
    """Descriptors as float32 rows of norm 1; the bits of ORB as ± 1/16."""
    if KEYPOINTS[features.method].distance == "hamming":
        bits = np.unpackbits(features.descriptors, axis=1).astype(np.float32)
        bits -= 0.5
        bits /= 8
        return bits
    rows = features.descriptors.astype(np.float32)
    rows /= np.sqrt(np.maximum(np.einsum("ij,ij->i", rows, rows), 1.0))[:, None]
    return rows


def _nearest(
    nearness: npt.NDArray[np.float32], ratio: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """The nearest column of each row, (N,), and whether it passes the ratio test, (N,)."""
    rows = np.arange(len(nearness))
    best = nearness.argmax(axis=1)
    first = nearness[rows, best].copy()
    nearness[rows, best] = -np.inf
    second = nearness.max(axis=1)
    nearness[rows, best] = first
    return best, (1 - first) < ratio * (1 - second)
