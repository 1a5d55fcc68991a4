from __future__ import annotations

import numpy as np
import pytest

from cbir.embedding import Embedder, load_embedder, resolve_spec


@pytest.fixture
def tiny_image() -> Embedder:
    return load_embedder(resolve_spec("tiny_image")[0])


def test_an_embedding_is_the_image_with_zero_mean_and_unit_norm(tiny_image: Embedder) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    (vector,) = tiny_image.embed([image])
    centred = image.astype(np.float64).ravel() - image.mean()
    np.testing.assert_allclose(vector, centred / np.linalg.norm(centred), atol=1e-6)
    assert vector.dtype == np.float32


def test_the_same_image_gives_the_same_bits_alone_and_in_a_batch(tiny_image: Embedder) -> None:
    images = list(np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8))
    together = tiny_image.embed(images)
    alone = np.concatenate([tiny_image.embed([image]) for image in images])
    assert together.tobytes() == alone.tobytes()


def test_brightness_and_contrast_do_not_matter(tiny_image: Embedder) -> None:
    image = np.random.default_rng(2).integers(0, 100, (32, 32, 3), np.uint8)
    a, b = tiny_image.embed([image, (image * 2 + 50).astype(np.uint8)])
    assert float(a @ b) == pytest.approx(1.0)


def test_images_without_structure_are_alike_and_unlike_all_others(tiny_image: Embedder) -> None:
    black, grey = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 90, np.uint8)
    other = np.random.default_rng(3).integers(0, 256, (32, 32, 3), np.uint8)
    a, b, c = tiny_image.embed([black, grey, other])
    assert float(a @ b) == pytest.approx(1.0)
    assert float(a @ c) == pytest.approx(0.0, abs=1e-6)


def test_no_images_give_no_vectors(tiny_image: Embedder) -> None:
    assert tiny_image.embed([]).shape == (0, 3072)


def test_an_image_of_another_size_is_refused(tiny_image: Embedder) -> None:
    with pytest.raises(
        ValueError, match=r"uint8 \(33, 32, 3\), this backbone takes .*\(32, 32, 3\)"
    ):
        tiny_image.embed([np.zeros((33, 32, 3), np.uint8)])
