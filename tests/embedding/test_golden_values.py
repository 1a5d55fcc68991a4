"""First values of embeddings, written down: no change of code or version moves them unseen."""

from __future__ import annotations

import numpy as np
import pytest

from cbir.arrays import Pixels
from cbir.config import EmbeddingSpec
from cbir.embedding import Runtime, find_backbone, load_embedder, resolve_spec

TOLERANCE = 1e-4
"""Of each value, in float32: processors round sums differently by some 1e-6."""

DEFAULT = [0.0445215, 0.0, 0.1058138, 0.0039712, 0.0, 0.0, 0.0, 0.0]
STRONGEST = {455: 0.3190976, 113: 0.2837980, 413: 0.2256343, 434: 0.2250328}
"""The default network's largest channels for the same image."""
TINY = [-0.0222629, 0.0261524, 0.0029229, -0.0137046, 0.0310429, 0.0021893, 0.0183277, 0.0012112]


def noise(side: int) -> Pixels:
    """An image whose pixels are the same with every version of numpy, uint8 (side, side, 3)."""
    return np.random.RandomState(1).randint(0, 256, (side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_the_default_network_embeds_as_ever(runtime: Runtime) -> None:
    spec, _ = resolve_spec()
    embedder = load_embedder(spec, device="cpu", runtime=runtime, precision="fp32")
    (vector,) = embedder.embed([noise(224)])
    np.testing.assert_allclose(vector[:8], DEFAULT, atol=TOLERANCE)
    np.testing.assert_allclose(vector[list(STRONGEST)], list(STRONGEST.values()), atol=TOLERANCE)


def test_tiny_image_embeds_as_ever() -> None:
    (vector,) = load_embedder(resolve_spec("tiny_image")[0]).embed([noise(32)])
    np.testing.assert_allclose(vector[:8], TINY, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "pooling", "weights", "fingerprint"),
    [
        ("efficientnet_lite0", "avg", "IMAGENET1K_V1", "7da00c5e7ca2434a"),
        ("efficientnet_lite0", "gem", "IMAGENET1K_V1", "69c4ce528602d29b"),
        ("tiny_image", "none", None, "c550cd71ab6f1967"),
    ],
)
def test_a_gallery_and_an_export_of_earlier_versions_still_fit(
    name: str, pooling: str, weights: str | None, fingerprint: str
) -> None:
    spec, origin = resolve_spec(name, pooling=pooling)
    assert (origin, spec.fingerprint, spec.network_fingerprint) == (
        weights,
        fingerprint,
        fingerprint,
    )


@pytest.mark.parametrize(
    ("name", "pooling", "fingerprint"),
    [
        ("resnet50", "avg", "e315852d3b2408b7"),
        ("vit_b_32", "cls", "d5060dc1177a4655"),
        ("vgg16", "flatten", "a78c591e6faac682"),
    ],
)
def test_a_spec_of_any_weights_keeps_its_fingerprint(
    name: str, pooling: str, fingerprint: str
) -> None:
    backbone = find_backbone(name)
    chosen = backbone.check_pooling(pooling)
    dim = backbone.dim_of(chosen, backbone.weights[0])
    spec = EmbeddingSpec(name, "sha256:" + "0" * 64, chosen, dim, backbone.preprocessing)
    assert spec.fingerprint == fingerprint
