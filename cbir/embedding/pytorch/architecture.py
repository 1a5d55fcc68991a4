"""Untrained networks in torch, by the builder that a backbone names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cbir.embedding.backbone import Backbone, load_reference
from cbir.errors import BackboneError

__all__ = ["Architecture", "MethodOutput", "build_architecture", "map_side"]


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """A network as its checkpoints have it, and the part of it that an embedding needs."""

    net: nn.Module
    """The whole network, in eval mode, whose `state_dict` has the names of a checkpoint."""
    body: nn.Module
    """Normalised pixels float (N, 3, side, side) → a feature map (N, C, h, w), or a token (N, C)
    for the pooling `cls`. It shares its parameters with `net`, and may be `net` itself."""
    heads: tuple[str, ...] = ()
    """Modules of `net` after the body: a checkpoint may lack them or have others instead."""

    @property
    def needed(self) -> set[str]:
        """Names in `net` of the parameters and buffers that the body uses."""
        used = {id(tensor) for tensor in self.body.state_dict(keep_vars=True).values()}
        state = self.net.state_dict(keep_vars=True)
        return {name for name, tensor in state.items() if id(tensor) in used}


class MethodOutput(nn.Module):
    """A network's body by a method of its own: `extract_features`, for example."""

    def __init__(self, net: nn.Module, method: str) -> None:
        super().__init__()
        self.net = net
        self._method = method

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = getattr(self.net, self._method)(x)
        return features


def build_architecture(backbone: Backbone, side: int) -> Architecture:
    """The untrained network of a backbone, for inputs of `side` pixels. Raises BackboneError."""
    if backbone.builder is None:
        raise BackboneError(f"{backbone.name} is no network")
    built = load_reference(backbone, backbone.builder)(backbone, side)
    if not isinstance(built, Architecture):
        raise BackboneError(f"{backbone.builder} returned {type(built).__name__}, no Architecture")
    return built


def map_side(backbone: Backbone, side: int) -> int:
    """Height and width of the last feature map for inputs of `side` pixels."""
    with torch.inference_mode():
        return int(build_architecture(backbone, side).body(torch.zeros(1, 3, side, side)).shape[-1])
