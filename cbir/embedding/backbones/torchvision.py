"""Builders of torchvision's networks, without their classification heads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from cbir.embedding.backbone import Backbone
from cbir.embedding.pytorch.architecture import Architecture

__all__ = ["build", "build_vit"]

HEADS = ("avgpool", "classifier", "fc", "head", "heads")
"""Names that torchvision gives to the modules after the feature map."""
AUXILIARY = ("aux", "aux1", "aux2", "AuxLogits")
"""Classifiers that only training uses."""


def build(backbone: Backbone, side: int) -> Architecture:
    """A convolutional network (or Swin, MaxViT) up to its last feature map (N, C, h, w)."""
    options: dict[str, Any] = {}
    if backbone.name in ("googlenet", "inception_v3"):
        # The options that torchvision uses with its own checkpoints.
        options.update(transform_input=True, aux_logits=True, init_weights=False)
    return _cut(backbone, side, _last_map, options)


def build_vit(backbone: Backbone, side: int) -> Architecture:
    """A vision transformer up to its class token (N, C), for a single input size."""
    return _cut(backbone, side, _class_token, {"image_size": side})


def _cut(
    backbone: Backbone,
    side: int,
    last: Callable[[fx.GraphModule], fx.Node],
    options: dict[str, Any],
) -> Architecture:
    """A network, and the part of it up to the node that `last` selects."""
    from torchvision.models import get_model

    net: nn.Module = get_model(backbone.name, weights=None, **options).eval()
    traced = fx.symbolic_trace(net)
    device = next(net.parameters()).device
    with torch.no_grad():
        # Which map is the last depends on the side of the input.
        ShapeProp(traced).propagate(torch.zeros(1, 3, side, side, device=device))
    end = last(traced)
    for node in reversed(traced.graph.nodes):
        if node.op == "output":
            node.args = (end,)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return Architecture(net, traced, heads=(*HEADS, *AUXILIARY))


def _last_map(traced: fx.GraphModule) -> fx.Node:
    """The last node before the head whose output is a feature map: 4-D, larger than 1 × 1."""
    maps: list[fx.Node] = []
    for node in takewhile(lambda node: not _is_head(node), traced.graph.nodes):
        tensor = node.meta.get("tensor_meta")
        shape = tuple(getattr(tensor, "shape", ()))
        if len(shape) == 4 and min(shape[2:]) > 1:
            maps.append(node)
    return maps[-1]


def _class_token(traced: fx.GraphModule) -> fx.Node:
    """The input of a vision transformer's classification head."""
    head = next(node for node in traced.graph.nodes if _is_head(node))
    token = head.args[0]
    assert isinstance(token, fx.Node)
    return token


def _is_head(node: fx.Node) -> bool:
    return node.op == "call_module" and str(node.target).split(".")[0] in HEADS
