"""Codes that differ in few bits meet, and many equal ones cost no more than they must."""

import numpy as np
import pytest

from cbir.duplicates.multi_index_hash import REACH, MultiIndexHash
from cbir.similarity.perceptual_hash import PerceptualHashes
from cbir.similarity.tiny import ORIENTATIONS


def hashes(codes: np.ndarray, form: int = 0) -> PerceptualHashes:
    """Pictures with these codes in one form, and others of their own in the rest."""
    rng = np.random.default_rng(9)
    every = rng.integers(0, 2**63, (ORIENTATIONS, len(codes)), dtype=np.uint64)
    every[form] = codes
    return PerceptualHashes(np.zeros((ORIENTATIONS, len(codes), 32), np.uint8), every)


@pytest.mark.parametrize("form", [0, 5])
def test_three_bits_apart_meet(form: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**63, 400, dtype=np.uint64)
    flips = np.array([rng.choice(63, 3, replace=False) for _ in codes], dtype=np.uint64)
    other = codes ^ (np.uint64(1) << flips).sum(axis=1, dtype=np.uint64)
    pairs = MultiIndexHash(hashes(codes)).pairs(hashes(other, form)).tolist()
    assert {(i, i) for i in range(400)} <= {tuple(pair) for pair in pairs}
    assert len(pairs) < 500


def test_very_many_equal_codes_stay_bounded() -> None:
    same = hashes(np.full(3000, 7, np.uint64))
    assert len(MultiIndexHash(same).pairs(same)) <= 3000 * 2 * REACH


@pytest.mark.parametrize(("queries", "pictures"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_meets_nothing(queries: int, pictures: int) -> None:
    codes = np.arange(3, dtype=np.uint64)
    found = MultiIndexHash(hashes(codes[:pictures])).pairs(hashes(codes[:queries]))
    assert found.shape == (0, 2)
