from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture
from PIL import Image
from terminal import cbir

from cbir import Gallery, Retriever, index_images, load_embedder, resolve_spec
from cbir.config import EmbeddingSpec
from cbir.embedding import embed_views, find_backbone
from cbir.embedding.vectors import unit_rows
from cbir.errors import BackboneError
from cbir.images import decode, decode_views


def test_views_are_decoded_at_once() -> None:
    spec, _ = resolve_spec("tiny_image")
    data = encode(picture(200, 50))
    views = decode_views(data, spec.preprocessing, ("crop", "whole")).pixels
    assert views.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(views[0], decode(data, spec.preprocessing).pixels)
    whole = np.asarray(picture(200, 50).resize((32, 32), 3))
    assert np.abs(views[1].astype(int) - whole).max() <= 2


def test_zoom_is_the_middle_of_the_crop_enlarged() -> None:
    spec, _ = resolve_spec("tiny_image")
    image = picture(64, 64)
    zoomed = decode_views(encode(image), spec.preprocessing, ("zoom",)).pixels[0]
    edge = 64 * (1 - 0.5**0.5) / 2
    expected = image.resize((32, 32), 3, (edge, edge, 64 - edge, 64 - edge))
    assert np.abs(zoomed.astype(int) - np.asarray(expected)).max() <= 1


def test_an_embedding_is_the_mean_of_its_views() -> None:
    spec, _ = resolve_spec("tiny_image", views=("crop", "whole"), flip=True)
    embedder = load_embedder(spec)
    pixels = decode_views(encode(picture(90, 60)), spec.preprocessing, spec.views).pixels
    seen = [pixels[0], pixels[1], pixels[0][:, ::-1], pixels[1][:, ::-1]]
    expected = unit_rows(embedder.embed(seen).mean(axis=0, keepdims=True))
    np.testing.assert_allclose(embed_views(embedder, [pixels]), expected, atol=1e-6)
    assert embed_views(embedder, []).shape == (0, spec.dim)


def test_a_mirrored_image_embeds_alike_with_flip(folder: Path, tmp_path: Path) -> None:
    spec, _ = resolve_spec("tiny_image", flip=True)
    with Gallery.create(tmp_path / "flip", spec) as gallery:
        index_images(folder, gallery)
        mirrored = picture(seed=2).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        hit = Retriever(gallery).search(mirrored, k=1).hits[0]
    assert hit.image.name == "even/2.png"
    assert hit.similarity > 0.98  # the centre of an odd remainder lies a pixel off


def test_specs_differ_by_their_views_and_share_the_network() -> None:
    plain, flipped = resolve_spec()[0], resolve_spec(flip=True)[0]
    whole = resolve_spec(views=("crop", "whole"))[0]
    assert len({spec.fingerprint for spec in (plain, flipped, whole)}) == 3
    assert len({spec.network_fingerprint for spec in (plain, flipped, whole)}) == 1
    assert EmbeddingSpec.from_json(whole.to_json()) == whole


def test_a_spec_written_before_there_were_views_is_read() -> None:
    spec, _ = resolve_spec()
    old = spec.to_json()
    del old["views"], old["flip"]
    assert EmbeddingSpec.from_json(old).fingerprint == spec.fingerprint


def test_a_larger_input_is_another_space() -> None:
    spec, _ = resolve_spec(input_size=320)
    assert (spec.preprocessing.crop, spec.preprocessing.resize) == (320, 366)
    assert spec.network_fingerprint != resolve_spec()[0].network_fingerprint


def test_the_size_a_network_has_anyway_may_be_named() -> None:
    assert resolve_spec("tiny_image", input_size=32) == resolve_spec("tiny_image")
    vit = find_backbone("vit_b_16")
    large = next(w for w in vit.weights if w.preprocessing.crop == 384)
    assert vit.resized(large, 384) == large
    with pytest.raises(BackboneError, match="has one input size, 384"):
        vit.resized(large, 224)


@pytest.mark.parametrize(("backbone", "size"), [("tiny_image", 64), ("efficientnet_lite0", 9)])
def test_an_impossible_input_size_is_an_error(backbone: str, size: int) -> None:
    with pytest.raises(BackboneError, match=str(size)):
        resolve_spec(backbone, input_size=size)


def test_the_command_remembers_the_views(folder: Path, tmp_path: Path) -> None:
    args: Sequence[str | Path] = ("index", folder, "-g", tmp_path / "g")
    assert cbir(*args, "--backbone", "tiny_image", "--whole", "--flip").code == 0
    assert cbir(*args).out.startswith("added 0   unchanged 6")
    assert cbir(*args, "--whole").code == 0
    assert cbir(*args, "--zoom").code == 1
    assert "crop + whole, mirrored, too" in cbir("info", "-g", tmp_path / "g").out
    plain = tmp_path / "plain"
    assert cbir("index", folder, "-g", plain, "--backbone", "tiny_image").code == 0
    refused = cbir("index", folder, "-g", plain, "--flip")
    assert refused.code == 1
    assert "flip: False against True" in refused.err
