"""Multi-index hashing: pairs of images with similar perceptual hashes, without comparing all pairs.

The 63 bits of a code are cut into five blocks. If two codes differ in at most three bits, at least
two blocks are equal. So the codes are kept in ten sorted lists, one for each pair of blocks with
those bits first (Manku, Jain and Das Sarma 2007; Norouzi, Punjani and Fleet 2012). In each list a
code is compared only with its nearest entries: many images may have equal bits there, as products
on white do.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

from cbir.similarity.perceptual_hash import LOW, PerceptualHashes

__all__ = ["MultiIndexHash"]

CODE_BITS = LOW * LOW - 1
BLOCKS = 5
REACH = 8
"""Number of entries on either side of a code that it is compared with, in each list."""

Indices = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]


class MultiIndexHash:
    """An index of the codes of N images: ten sorted lists, 160 bytes per image."""

    def __init__(self, hashes: PerceptualHashes) -> None:
        self._count = len(hashes)
        self._lists: list[tuple[list[int], np.uint64, Codes, Indices]] = []
        for bit_order, prefix_bits in _bit_orders():
            codes = _permuted(hashes.codes[0], bit_order)
            order = np.argsort(codes, kind="stable")
            shift = np.uint64(CODE_BITS - prefix_bits)
            self._lists.append((bit_order, shift, codes[order], order))

    def pairs(self, queries: PerceptualHashes) -> Indices:
        """Candidate pairs (P, 2): index of a query, index of an image, sorted, each pair once.

        Two blocks of their codes are equal, in some orientation of the query.
        """
        if not len(queries) or not self._count:
            return np.empty((0, 2), np.int64)
        pairs = np.empty(0, np.int64)
        for bit_order, shift, sorted_codes, order in self._lists:
            parts = [pairs]
            for codes in queries.codes:
                permuted = _permuted(codes, bit_order)
                for query, position in _equal_prefixes(permuted, sorted_codes, shift):
                    parts.append(query * self._count + order[position])
            pairs = np.unique(np.concatenate(parts))
        return np.stack(np.divmod(pairs, self._count), axis=1)


def _bit_orders() -> Iterator[tuple[list[int], int]]:
    """For every two blocks: all bits, those of the two blocks first, and the number of these."""
    blocks = np.array_split(np.arange(CODE_BITS), BLOCKS)
    for pair in combinations(range(BLOCKS), 2):
        prefix = np.concatenate([blocks[i] for i in pair]).tolist()
        rest = [bit for bit in range(CODE_BITS) if bit not in set(prefix)]
        yield prefix + rest, len(prefix)


def _permuted(codes: Codes, bit_order: list[int]) -> Codes:
    """Codes with their bits in another order, the most significant first."""
    permuted = np.zeros_like(codes)
    for position, bit in enumerate(bit_order):
        value = (codes >> np.uint64(bit)) & np.uint64(1)
        permuted |= value << np.uint64(CODE_BITS - 1 - position)
    return permuted


def _equal_prefixes(
    codes: Codes, sorted_codes: Codes, shift: np.uint64
) -> Iterator[tuple[Indices, Indices]]:
    """Indices of codes and positions in a sorted list, (M,) each, whose leading bits are equal."""
    places = np.searchsorted(sorted_codes, codes)
    prefix = codes >> shift
    for step in range(-REACH, REACH):
        position = places + step
        inside = (position >= 0) & (position < len(sorted_codes))
        equal = inside.copy()
        equal[inside] = (sorted_codes[position[inside]] >> shift) == prefix[inside]
        query = np.flatnonzero(equal)
        yield query, position[query]
