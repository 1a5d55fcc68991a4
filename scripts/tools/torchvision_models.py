"""Prints the table in cbir/embedding/backbones/torchvision_models.py for the installed torchvision.

    .venv/bin/python -m scripts.tools.torchvision_models > table.txt

No weights are needed: each network runs once, untrained, on a blank image.
"""

from __future__ import annotations

import torch
import torchvision.models
from torchvision.models import get_model_weights, list_models

from cbir.config import Preprocessing
from cbir.embedding.backbone import Backbone
from cbir.embedding.backbones.torchvision_models import builder_of
from cbir.embedding.pytorch.architecture import build_architecture


def main() -> None:
    for name in list_models(module=torchvision.models):
        variants = get_model_weights(name)
        default = variants.DEFAULT
        for weights in (default, *(w for w in variants if w is not default)):
            options = weights.transforms.keywords
            crop, resize = options["crop_size"], options.get("resize_size", 256)
            interpolation = getattr(options.get("interpolation"), "value", "bilinear")
            channels, side = _map_shape(name, crop)
            print(
                f"{name:<18} {channels:>4} {side:>2} {resize:>3} {crop:>3} {interpolation:<8} "
                f"{weights.name.removeprefix('IMAGENET1K_'):<14} {weights.url.rpartition('/')[2]}"
            )


def _map_shape(name: str, crop: int) -> tuple[int, int]:
    """Channels and side of the feature map; side 0 for a class token."""
    backbone = Backbone(
        name=name,
        builder=builder_of(name),
        channels=0,
        preprocessing=Preprocessing(crop, crop),
        poolings=(),
        licence="",
        source="",
    )
    body = build_architecture(backbone, crop).body.to("meta")
    with torch.inference_mode():
        shape = body(torch.zeros(1, 3, crop, crop, device="meta")).shape
    return shape[1], shape[2] if len(shape) == 4 else 0


if __name__ == "__main__":
    main()
