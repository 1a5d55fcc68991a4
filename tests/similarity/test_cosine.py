import numpy as np
import pytest

from cbir.similarity import cosine


def test_by_hand() -> None:
    x = np.array([3.0, 4.0], np.float32)
    assert cosine(x, x) == pytest.approx(1.0)
    assert cosine(x, -2 * x) == pytest.approx(-1.0)
    assert cosine(x, np.array([1.0, 0.0], np.float32)) == pytest.approx(0.6)
    assert cosine(x, np.zeros(2, np.float32)) == 0.0


def test_never_above_one_and_symmetric() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y = rng.normal(size=(2, 1280)).astype(np.float32)
        assert cosine(x, y) == cosine(y, x)
        assert abs(cosine(x, 3 * x)) <= 1.0


@pytest.mark.parametrize("shape", [(3,), (1, 2), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="embed both images by the same backbone"):
        cosine(np.ones(2), np.ones(shape))
