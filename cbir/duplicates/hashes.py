"""Pictures whose perceptual hashes nearly agree, found without comparing all pairs.

The 63 bits of a code are cut into five blocks. Of two codes that differ in at most three bits,
two blocks are equal, so that the codes meet in one of ten sorted lists, each in the order of two
blocks first. In each list a code is compared with those beside it: where very many begin alike
(pictures of one thing on white), with the nearest few only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

from cbir.similarity.perceptual_hash import LOW, PerceptualHashes

__all__ = ["Meeting"]

CODE_BITS = LOW * LOW - 1
BLOCKS = 5
BESIDE = 8
"""Neighbours of a code that are looked at on either side of it, in each list."""

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]


class Meeting:
    """The codes of N pictures in ten sorted lists: 160 bytes for each picture."""

    def __init__(self, pictures: PerceptualHashes) -> None:
        self._count = len(pictures)
        self._lists: list[tuple[list[int], np.uint64, Codes, Rows]] = []
        for order, shared in _orders():
            codes = _permuted(pictures.codes[0], order)
            rows = np.argsort(codes, kind="stable")
            self._lists.append((order, np.uint64(CODE_BITS - shared), codes[rows], rows))

    def pairs(self, queries: PerceptualHashes) -> Rows:
        """Pairs (P, 2), a query's row and a picture's, that have two blocks of some form in common.

        Each pair once, in order.
        """
        if not len(queries) or not self._count:
            return np.empty((0, 2), np.int64)
        pairs = np.empty(0, np.int64)
        for order, kept, listed, rows in self._lists:
            found = [pairs]
            for codes in queries.codes:
                for own, places in _beside(_permuted(codes, order), listed, kept):
                    found.append(own * self._count + rows[places])
            pairs = np.unique(np.concatenate(found))
        return np.stack(np.divmod(pairs, self._count), axis=1)


def _orders() -> Iterator[tuple[list[int], int]]:
    """For every two blocks: all bits, theirs first, and how many theirs are."""
    blocks = np.array_split(np.arange(CODE_BITS), BLOCKS)
    for pair in combinations(range(BLOCKS), 2):
        first = np.concatenate([blocks[i] for i in pair]).tolist()
        rest = [bit for bit in range(CODE_BITS) if bit not in set(first)]
        yield first + rest, len(first)


def _permuted(codes: Codes, order: list[int]) -> Codes:
    """Codes with their bits in another order, the first of it the most significant."""
    permuted = np.zeros_like(codes)
    for place, bit in enumerate(order):
        taken = (codes >> np.uint64(bit)) & np.uint64(1)
        permuted |= taken << np.uint64(CODE_BITS - 1 - place)
    return permuted


def _beside(codes: Codes, listed: Codes, kept: np.uint64) -> Iterator[tuple[Rows, Rows]]:
    """Queries and places of a sorted list, (M,) each, where the leading bits are the same."""
    places = np.searchsorted(listed, codes)
    prefix = codes >> kept
    for step in range(-BESIDE, BESIDE):
        at = places + step
        inside = (at >= 0) & (at < len(listed))
        same = inside.copy()
        same[inside] = (listed[at[inside]] >> kept) == prefix[inside]
        own = np.flatnonzero(same)
        yield own, at[own]
