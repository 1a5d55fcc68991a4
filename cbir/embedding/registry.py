"""The registry of backbones."""

from __future__ import annotations

import difflib

from cbir.embedding.backbone import Backbone
from cbir.embedding.backbones.efficientnet_lite import EFFICIENTNET_LITE
from cbir.embedding.backbones.tiny_image import TINY_IMAGE
from cbir.embedding.backbones.torchvision_models import torchvision_backbones
from cbir.errors import BackboneError

__all__ = ["BACKBONES", "find_backbone", "register_backbone"]

BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (*EFFICIENTNET_LITE, TINY_IMAGE, *torchvision_backbones())
}


def find_backbone(name: str) -> Backbone:
    """The backbone with this name. Raises BackboneError, which suggests the closest name."""
    if name in BACKBONES:
        return BACKBONES[name]
    near = difflib.get_close_matches(name.lower(), BACKBONES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BackboneError(f"no backbone {name!r}; {hint}'cbir models' lists them")


def register_backbone(backbone: Backbone) -> None:
    """Registers a backbone in this process.

    A process that embeds images for a gallery created with it must register it again. Raises
    BackboneError where another backbone has its name; the same one may be registered twice.
    """
    if BACKBONES.setdefault(backbone.name, backbone) != backbone:
        raise BackboneError(f"there is a backbone {backbone.name!r} already; choose another name")
