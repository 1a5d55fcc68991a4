from __future__ import annotations

import numpy as np
import pytest

from cbir.embedding.vectors import unit_rows
from cbir.errors import BackboneError


def test_rows_become_unit_vectors() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.5, 0.0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [1.0, 0.0]], rtol=1e-6)


def test_a_row_of_zeros_becomes_the_constant_unit_vector() -> None:
    assert unit_rows(np.zeros((1, 4), np.float32)).tolist() == [[0.5, 0.5, 0.5, 0.5]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_an_error(value: float) -> None:
    with pytest.raises(BackboneError, match=r"not finite.*fp32"):
        unit_rows(np.array([[1.0, value]], np.float32))


def test_the_input_is_left_as_it_is() -> None:
    rows = np.ones((1, 4), np.float32)
    unit_rows(rows)
    assert rows.tolist() == [[1, 1, 1, 1]]
