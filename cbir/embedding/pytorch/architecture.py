"""Builds untrained networks in torch with the builder of a backbone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cbir.embedding.backbone import Backbone, load_reference
from cbir.errors import BackboneError

__all__ = ["Architecture", "MethodOutput", "build_architecture", "map_side"]


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """A whole network, as its checkpoints contain it, and the part that an embedding needs."""

    net: nn.Module
    """The whole network, in eval mode; its `state_dict` has the names of a checkpoint."""
    body: nn.Module
    """Normalised pixels float (N, 3, side, side) → a feature map (N, C, h, w), or a token (N, C)
    for the pooling `cls`. It shares its parameters with `net`, and may be `net` itself."""
    heads: tuple[str, ...] = ()
    """Modules of `net` after the body; a checkpoint may lack them or have others instead."""

    @property
    def needed(self) -> set[str]:
        """Names in `net` of the parameters and buffers that the body uses."""
        used = {id(tensor) for tensor in self.body.state_dict(keep_vars=True).values()}
        state = self.net.state_dict(keep_vars=True)
        return {name for name, tensor in state.items() if id(tensor) in used}


class MethodOutput(nn.Module):
    """A network's body as the output of one of its methods, such as `extract_features`."""

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
        raise BackboneError(f"{backbone.name} is not a network")
    network = load_reference(backbone, backbone.builder)(backbone, side)
    if not isinstance(network, Architecture):
        kind = type(network).__name__
        raise BackboneError(f"{backbone.builder} returned {kind}, not an Architecture")
    return network


def map_side(backbone: Backbone, side: int) -> int:
    """Height and width of the last feature map for inputs of `side` pixels."""
    with torch.inference_mode():
        return int(build_architecture(backbone, side).body(torch.zeros(1, 3, side, side)).shape[-1])
