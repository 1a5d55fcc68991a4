"""Networks in torch: architecture, checkpoint, feature map and pooling, from uint8 to vectors.

Imported only to export a network or to run it in torch.
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from cbir.config import EmbeddingSpec, Preprocessing
from cbir.embedding.backbone import Backbone
from cbir.embedding.checkpoints import load_checkpoint
from cbir.embedding.pooling import pooling_module
from cbir.embedding.registry import find_backbone

__all__ = ["EmbeddingNetwork", "architecture", "build_body", "build_network", "map_side"]

HEADS = ("avgpool", "classifier", "fc", "head", "heads")
"""How torchvision's networks call the modules that follow the feature map."""


class EmbeddingNetwork(nn.Module):
    """uint8 (N, H, W, 3) → float32 (N, D), not yet of unit length."""

    offset: Tensor
    scale: Tensor

    def __init__(self, body: nn.Module, pooling: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.body = body
        self.pooling = pooling
        offset = torch.tensor(preprocessing.mean) * 255
        scale = 1 / (torch.tensor(preprocessing.std) * 255)
        self.register_buffer("offset", offset.view(1, 3, 1, 1))
        self.register_buffer("scale", scale.view(1, 3, 1, 1))
        self.dtype = torch.float32

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 3, 1, 2).float()
        pixels = (pixels - self.offset) * self.scale
        features = self.body(pixels.to(self.dtype))
        return self.pooling(features.float())  # type: ignore[no-any-return]

    def compute_in(self, dtype: torch.dtype) -> None:
        """Have the body's weights and sums in another precision; both ends stay float32."""
        self.body.to(dtype)
        self.dtype = dtype


def build_network(spec: EmbeddingSpec, checkpoint: Path) -> EmbeddingNetwork:
    """The network of a spec with its weights, in eval mode. Raises WeightsError."""
    backbone = find_backbone(spec.backbone)
    net = architecture(backbone, spec.preprocessing.crop).eval()
    body = build_body(net, backbone, spec.preprocessing.crop)
    load_checkpoint(net, checkpoint, backbone.name, needed=set(body.state_dict()), heads=HEADS)
    network = EmbeddingNetwork(body, pooling_module(spec.pooling), spec.preprocessing)
    return network.eval().requires_grad_(False)


def build_body(net: nn.Module, backbone: Backbone, size: int) -> nn.Module:
    """The part of a network that ends in its last feature map (N, C, h, w).

    Of a vision transformer it ends in the class token (N, C). `size` is the side of the input,
    which decides where the last map is. The body shares its parameters with `net`.
    """
    if backbone.family == "efficientnet_lite":
        return _LiteBody(net)
    traced = fx.symbolic_trace(net)
    device = next(net.parameters()).device
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, 3, size, size, device=device))
    last = _class_token(traced) if backbone.family == "vit" else _last_map(traced)
    for node in reversed(traced.graph.nodes):
        if node.op == "output":
            node.args = (last,)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def map_side(backbone: Backbone, size: int) -> int:
    """Height and width of the last feature map for inputs of `size` pixels."""
    body = build_body(architecture(backbone, size).eval(), backbone, size)
    with torch.inference_mode():
        return int(body(torch.zeros(1, 3, size, size)).shape[-1])


def architecture(backbone: Backbone, size: int) -> nn.Module:
    """The untrained network, made for inputs of `size` pixels."""
    if backbone.family == "efficientnet_lite":
        from efficientnet_lite_pytorch import EfficientNet

        name = backbone.name.replace("_", "-")
        net: nn.Module = EfficientNet.from_name(name, image_size=size)
        return net
    from torchvision.models import get_model

    options: dict[str, Any] = {}
    if backbone.family == "vit":
        options["image_size"] = size
    if backbone.name in ("googlenet", "inception_v3"):
        # As torchvision builds them for its own checkpoints.
        options.update(transform_input=True, aux_logits=True, init_weights=False)
    return get_model(backbone.name, weights=None, **options)  # type: ignore[no-any-return]


class _LiteBody(nn.Module):
    """EfficientNet-Lite up to its feature map; it has a method for that, so no tracing."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.extract_features(x)  # type: ignore[operator, no-any-return]


def _last_map(traced: fx.GraphModule) -> fx.Node:
    """The last node before the head whose output has positions: 4-D and larger than 1 × 1."""
    maps: list[fx.Node] = []
    for node in takewhile(lambda node: not _is_head(node), traced.graph.nodes):
        tensor = node.meta.get("tensor_meta")
        shape = tuple(getattr(tensor, "shape", ()))
        if len(shape) == 4 and min(shape[2:]) > 1:
            maps.append(node)
    return maps[-1]


def _class_token(traced: fx.GraphModule) -> fx.Node:
    """What a vision transformer hands to its classification head."""
    head = next(node for node in traced.graph.nodes if _is_head(node))
    token = head.args[0]
    assert isinstance(token, fx.Node)
    return token


def _is_head(node: fx.Node) -> bool:
    return node.op == "call_module" and str(node.target).split(".")[0] in HEADS
