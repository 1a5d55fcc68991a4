"""Nearest neighbours of all vectors among all, by matrix products in blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from cbir.arrays import Vectors
from cbir.config import available_cores

__all__ = [
    "MANY",
    "Leading",
    "RowNumbers",
    "all_nearest",
    "in_order",
    "leading_directions",
    "nearest",
    "top",
]

RowNumbers = npt.NDArray[np.int64]
T = TypeVar("T")
Done = TypeVar("Done")

STRIDE = 32
SAMPLE = 4096
PROBES = 256
DIMENSIONS = (64, 96, 128, 192, 256, 384, 512)
MIN_REDUCTION = 2
"""Least factor by which a first pass must reduce the dimensions to save time."""
RECALL = 0.99
"""Share of the true neighbours that a first pass must find."""
BLOCK_BYTES = 48_000_000
"""Bytes of similarities that each thread holds at once."""

CANDIDATES = 128
"""Least number of candidates of a first pass that are compared in all dimensions. With fewer, no
first pass may reach the recall, and all vectors would be compared with all."""

MANY = 10_000
"""Number of vectors from which a first pass in few dimensions is tried."""
THREADS = 4
RESCORED = 32
"""Number of vectors whose candidates are gathered at once, to fit the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Leading:
    """Vectors projected on their leading principal directions: a cheap first pass over many.

    With x = Wᵀ(W x) + x', W (d, D) orthonormal, x·y = Wx·Wy + x'·y' ≤ Wx·Wy + |x'| |y'| (Cauchy
    and Schwarz): a product of d + 1 dimensions that is never less than that of D. In measurements
    it orders candidates far better than Wx·Wy does.
    """

    vectors: Vectors
    """(N, d + 1): Wx and |x'|."""
    recall: float
    """Share of the true neighbours among the candidates of the first pass, on a sample."""

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1]) - 1


def leading_directions(vectors: Vectors, k: int, candidates: int) -> Leading | None:
    """The fewest directions in which the best `candidates` include the k nearest with recall 0.99.

    The recall is measured on a sample of the vectors. None where no first pass saves time.
    """
    count, dim = vectors.shape
    rng = np.random.default_rng(0)
    sample = vectors[np.sort(rng.choice(count, min(count, SAMPLE), replace=False))]
    _, columns = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    directions = np.ascontiguousarray(columns[:, ::-1], dtype=np.float32)
    probes = np.sort(rng.choice(count, min(count, PROBES), replace=False))
    exact, _ = nearest(vectors[probes], vectors, k)
    for d in (d for d in DIMENSIONS if MIN_REDUCTION * d <= dim):
        leading = np.empty((count, d + 1), dtype=np.float32)
        np.matmul(vectors, np.ascontiguousarray(directions[:, :d]), out=leading[:, :d])
        squared = np.einsum("nd,nd->n", leading[:, :d], leading[:, :d])
        leading[:, d] = np.sqrt(np.maximum(0, 1 - squared))
        near, _ = nearest(leading[probes], leading, candidates)
        recall = np.mean([np.isin(e, f).mean() for e, f in zip(exact, near, strict=True)])
        if recall >= RECALL:
            return Leading(leading, float(recall))
    return None


def all_nearest(vectors: Vectors, k: int) -> Iterator[tuple[int, RowNumbers, Vectors]]:
    """The k nearest other vectors of every vector (N, D), in blocks of B vectors.

    Yields the first row of a block, the rows of the nearest (B, k), best first, and their inner
    products; fewer than k where there are no more. Among many vectors, a first pass in few
    dimensions selects candidates, which include at least 0.99 of the nearest.
    """
    count = len(vectors)
    k = min(k, count - 1)
    if k < 1:
        return
    candidates = max(CANDIDATES, 4 * k)
    leading = leading_directions(vectors, k + 1, candidates) if count > MANY else None
    size = block_rows(count)

    def block(start: int) -> tuple[int, RowNumbers, Vectors]:
        mine = np.arange(start, min(start + size, count))
        if leading is None:
            rows, products = top(vectors[mine] @ vectors.T, k + 1)
        else:
            rows, _ = top(leading.vectors[mine] @ leading.vectors.T, candidates)
            products = np.empty(rows.shape, np.float32)
            for part in np.array_split(np.arange(len(mine)), -(-len(mine) // RESCORED)):
                candidate_vectors = vectors[rows[part]]
                products[part] = np.matmul(candidate_vectors, vectors[mine[part], :, None])[:, :, 0]
        products = np.where(rows == mine[:, None], -np.inf, products)
        order = np.argsort(-products, axis=1, kind="stable")[:, :k]
        return (
            start,
            np.take_along_axis(rows, order, axis=1),
            np.take_along_axis(products, order, axis=1),
        )

    yield from in_order(block, range(0, count, size))


def in_order(work: Callable[[T], Done], items: Iterable[T]) -> Iterator[Done]:
    """Results of `work` for each item, in order, computed by a few threads with few pending."""
    # One BLAS thread each: multithreaded matrix products in several threads block one another.
    limits = threadpool_limits(1, "blas")
    with limits, ThreadPoolExecutor(min(THREADS, available_cores())) as pool:
        running: deque[Future[Done]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > THREADS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def nearest(queries: Vectors, vectors: Vectors, m: int) -> tuple[RowNumbers, Vectors]:
    """The m vectors with the largest inner products, unsorted: (Q, m) rows and products."""
    parts = [
        top(queries[start : start + size] @ vectors.T, m)
        for size in [block_rows(len(vectors))]
        for start in range(0, len(queries), size)
    ]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([s for _, s in parts])


def block_rows(count: int) -> int:
    """Number of queries that are compared with `count` vectors at once."""
    return max(1, min(1024, BLOCK_BYTES // (4 * max(1, count))))


def top(scores: Vectors, m: int) -> tuple[RowNumbers, Vectors]:
    """The m largest of each row of scores (B, N), unsorted: columns (B, m) and scores.

    Columns are divided into sets of 32. The m largest lie in the m sets with the largest maxima, so
    that far fewer than N have to be partitioned.
    """
    count = scores.shape[1]
    m = min(m, count)
    width = count // STRIDE
    if m >= width // 2:
        columns = _partition(scores, m)
        return columns, np.take_along_axis(scores, columns, axis=1)
    maxima = scores[:, :width].copy()
    for j in range(1, STRIDE):
        np.maximum(maxima, scores[:, j * width : (j + 1) * width], out=maxima)
    sets = _partition(maxima, m)
    members = (sets[:, :, None] + width * np.arange(STRIDE)).reshape(len(scores), -1)
    tail = np.arange(STRIDE * width, count)
    members = np.concatenate([members, np.broadcast_to(tail, (len(scores), len(tail)))], axis=1)
    values = np.take_along_axis(scores, members, axis=1)
    best = _partition(values, m)
    return np.take_along_axis(members, best, axis=1), np.take_along_axis(values, best, axis=1)


def _partition(values: Vectors, m: int) -> RowNumbers:
    count = values.shape[1]
    if m >= count:
        return np.tile(np.arange(count, dtype=np.int64), (len(values), 1))
    best = np.argpartition(values, count - m, axis=1)[:, count - m :]
    return np.asarray(best, dtype=np.int64)
