from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cbir.embedding import find_backbone, resolve_spec
from cbir.embedding.pytorch.architecture import build_architecture
from cbir.embedding.pytorch.network import build_network
from cbir.errors import WeightsError

SMALL = (
    "convnext_tiny",
    "densenet121",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11",
    "vit_b_32",
)
"""One of every family that torchvision has, small ones."""


@pytest.mark.parametrize("name", SMALL)
def test_a_body_ends_in_the_map_the_registry_describes(name: str) -> None:
    backbone = find_backbone(name)
    crop = backbone.preprocessing.crop
    body = build_architecture(backbone, crop).body.to("meta")
    output = body(torch.zeros(2, 3, crop, crop, device="meta"))
    side = backbone.weights[0].map_side
    assert output.shape == ((2, backbone.channels, side, side) if side else (2, backbone.channels))


@pytest.mark.parametrize(
    ("name", "side"), [("efficientnet_lite0", 6), ("resnet18", 6), ("vgg11", 6)]
)
def test_a_convolutional_body_takes_inputs_of_another_size(name: str, side: int) -> None:
    backbone = find_backbone(name)
    body = build_architecture(backbone, 192).body.to("meta")
    output = body(torch.zeros(1, 3, 192, 192, device="meta"))
    assert output.shape == (1, backbone.channels, side, side)


def test_a_network_normalises_runs_and_pools_as_torchvision_does(
    checkpoint: Callable[..., Path],
) -> None:
    from torchvision.models import get_model

    path = checkpoint("resnet18")
    spec, _ = resolve_spec("resnet18", weights=str(path))
    images = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)

    net = get_model("resnet18").eval()
    net.load_state_dict(torch.load(path, weights_only=True))
    net.fc = torch.nn.Identity()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = net(((images / 255 - mean) / std).permute(0, 3, 1, 2))
        found = build_network(spec, path)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def only_features(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key.startswith("features.")}


def test_flattened_vgg_is_the_output_of_its_last_pooling_layer(
    checkpoint: Callable[..., Path],
) -> None:
    path = checkpoint("vgg11", wrap=only_features)
    spec, _ = resolve_spec("vgg11", weights=str(path), pooling="flatten")
    with torch.inference_mode():
        network = build_network(spec, path)
        found = network(torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8))
    assert found.shape == (1, spec.dim) == (1, 25088)
    assert not any(key.startswith("classifier") for key in network.body.state_dict())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": torch.tensor(3)},
        lambda state: {"model": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {key: value for key, value in state.items() if not key.startswith("fc.")},
        lambda state: {**state, "fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)},
    ],
    ids=["state_dict", "model", "DataParallel", "without head", "another head"],
)
def test_a_checkpoint_may_be_wrapped_or_have_another_head(
    checkpoint: Callable[..., Path], wrap: Callable[[dict[str, Any]], Any]
) -> None:
    path = checkpoint("resnet18", wrap=wrap)
    spec, _ = resolve_spec("resnet18", weights=str(path))
    torch.manual_seed(7)
    original = build_architecture(find_backbone("resnet18"), 224).net
    weight = build_network(spec, path).body.get_parameter("layer1.0.conv1.weight")
    assert torch.equal(weight, original.get_parameter("layer1.0.conv1.weight"))


def test_old_names_in_densenet_checkpoints_are_understood(checkpoint: Callable[..., Path]) -> None:
    def as_of_2017(state: dict[str, Any]) -> dict[str, Any]:
        for key in list(state):
            for kind in ("norm", "conv"):
                for number in "12":
                    if "denselayer" in key and f".{kind}{number}." in key:
                        state[key.replace(f"{kind}{number}", f"{kind}.{number}")] = state.pop(key)
        return state

    path = checkpoint("densenet121", wrap=as_of_2017)
    stored = torch.load(path, weights_only=True)
    assert "features.denseblock1.denselayer1.norm.1.weight" in stored
    spec, _ = resolve_spec("densenet121", weights=str(path))
    weight = build_network(spec, path).body.get_parameter(
        "features.denseblock1.denselayer1.conv2.weight"
    )
    assert torch.equal(weight, stored["features.denseblock1.denselayer1.conv.2.weight"])


@pytest.mark.parametrize(
    ("made_for", "loaded_as", "complaint"),
    [
        (
            "mobilenet_v3_small",
            "resnet18",
            r"does not fit resnet18: missing conv1\.weight, .* more",
        ),
        ("resnet34", "resnet18", r"does not fit resnet18: unexpected layer1\.2\.conv1\.weight, "),
        ("resnet18", "resnet34", r"does not fit resnet34: missing layer1\.2\.conv1\.weight, "),
        (
            "efficientnet_lite0",
            "efficientnet_lite2",
            "does not fit efficientnet_lite2: wrong shape",
        ),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    checkpoint: Callable[..., Path], made_for: str, loaded_as: str, complaint: str
) -> None:
    path = checkpoint(made_for)
    spec, _ = resolve_spec(loaded_as, weights=str(path))
    with pytest.raises(WeightsError, match=complaint):
        build_network(spec, path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"],
    ids=["empty", "html", "zip"],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(content)
    spec, _ = resolve_spec("resnet18", weights=str(path))
    with pytest.raises(WeightsError, match=r"cannot read .*mine\.pth as a checkpoint of resnet18"):
        build_network(spec, path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "bomb.pth"
    torch.save(Bomb(), path)
    spec, _ = resolve_spec("resnet18", weights=str(path))
    with pytest.raises(WeightsError, match=r"cannot read .*bomb\.pth"):
        build_network(spec, path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2)])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "mine.pth"
    torch.save(content, path)
    spec, _ = resolve_spec("resnet18", weights=str(path))
    with pytest.raises(WeightsError, match="holds no state_dict"):
        build_network(spec, path)
