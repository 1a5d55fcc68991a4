from __future__ import annotations

import subprocess
import sys

import pytest

from cbir.embedding import BACKBONES, find_backbone, resolve_spec
from cbir.errors import BackboneError


def test_a_backbone_is_found_by_its_name() -> None:
    assert find_backbone("resnet50").dim == 2048


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("resnet5", "resnet50"),
        ("ResNet50", "resnet50"),
        ("efficientnet-lite0", "efficientnet_lite0"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(asked: str, meant: str) -> None:
    with pytest.raises(BackboneError, match=f"no backbone '{asked}'; did you mean '{meant}'"):
        find_backbone(asked)


def test_a_name_like_no_other_is_answered_with_the_command_that_lists_them() -> None:
    with pytest.raises(BackboneError, match=r"no backbone 'xyzzy'; 'cbir models' lists them"):
        find_backbone("xyzzy")


def test_flattened_vgg16_has_the_dimension_of_block5_pool() -> None:
    vgg16 = find_backbone("vgg16")
    assert vgg16.dim == 512
    assert vgg16.dim_of("flatten", vgg16.weights[0]) == 512 * 7 * 7


def test_a_flattened_map_grows_with_the_input_of_the_weights() -> None:
    regnet = find_backbone("regnet_y_16gf")
    sides = {known.name: known.map_side for known in regnet.weights}
    assert (sides["IMAGENET1K_V2"], sides["IMAGENET1K_SWAG_E2E_V1"]) == (7, 12)


def test_a_pooling_a_backbone_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(BackboneError, match="vit_b_16 has no pooling 'gem'; choose one of cls"):
        find_backbone("vit_b_16").check_pooling("gem")


def test_weights_for_non_commercial_use_say_so() -> None:
    licences = {known.name: known.licence for known in find_backbone("vit_b_16").weights}
    assert licences["IMAGENET1K_V1"] == "BSD-3-Clause"
    assert licences["IMAGENET1K_SWAG_E2E_V1"] == "CC-BY-NC-4.0"


def test_every_backbone_is_described_completely() -> None:
    for name, backbone in BACKBONES.items():
        assert backbone.name == name
        assert backbone.dim > 0
        assert backbone.source
        assert backbone.licence
        for known in backbone.weights:
            assert known.url or (known.package and known.install)


def test_the_table_agrees_with_the_installed_torchvision() -> None:
    import torchvision.models
    from torchvision.models import get_model_weights, list_models

    installed = set(list_models(module=torchvision.models))
    table = {b.name: b for b in BACKBONES.values() if ".torchvision:" in (b.builder or "")}
    assert set(table) <= installed  # a newer torchvision may have more
    for name, backbone in table.items():
        published = get_model_weights(name)
        assert backbone.weights[0].name == published.DEFAULT.name
        assert {known.name for known in backbone.weights} <= set(published.__members__)
        for known in backbone.weights:
            weights = published[known.name]
            transforms = weights.transforms()
            ours = known.preprocessing
            assert known.url == weights.url
            assert [ours.resize] == transforms.resize_size
            assert [ours.crop] == transforms.crop_size
            assert ours.interpolation == transforms.interpolation.value
            assert list(ours.mean) == list(transforms.mean)
            assert list(ours.std) == list(transforms.std)
            assert ("SWAG" in known.name) == ("license" in weights.meta)


def test_knowing_backbones_imports_no_framework() -> None:
    code = (
        "import sys, cbir.embedding as e; e.resolve_spec();"
        "e.weights_present(e.BACKBONES['vgg16']);"
        "print([m for m in ('torch', 'torchvision', 'cv2', 'openvino') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


def test_a_spec_names_the_weights_by_hash_and_where_they_came_from() -> None:
    spec, origin = resolve_spec()
    assert (spec.backbone, spec.pooling, spec.dim) == ("efficientnet_lite0", "avg", 1280)
    assert spec.weights.startswith("sha256:57934424")
    assert origin == "IMAGENET1K_V1"


def test_a_spec_of_tiny_image_has_no_weights() -> None:
    spec, origin = resolve_spec("tiny_image")
    assert (spec.weights, spec.pooling, spec.dim, origin) == ("none", "none", 3072, None)
    with pytest.raises(BackboneError, match="tiny_image has no weights to choose"):
        resolve_spec("tiny_image", weights="IMAGENET1K_V1")
