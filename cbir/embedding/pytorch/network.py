"""Embedding networks in torch: uint8 pixels to vectors, with normalisation and pooling inside."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from cbir.config import EmbeddingSpec, Preprocessing
from cbir.embedding.pytorch.architecture import build_architecture
from cbir.embedding.pytorch.checkpoints import load_checkpoint
from cbir.embedding.pytorch.pooling import pooling_module
from cbir.embedding.registry import find_backbone

__all__ = ["EmbeddingNetwork", "build_network"]


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
        """Sets the precision of the body; input and pooling stay float32."""
        self.body.to(dtype)
        self.dtype = dtype


def build_network(spec: EmbeddingSpec, checkpoint: Path) -> EmbeddingNetwork:
    """The network of a spec with its weights, in eval mode. Raises BackboneError, WeightsError."""
    backbone = find_backbone(spec.backbone)
    architecture = build_architecture(backbone, spec.preprocessing.crop)
    load_checkpoint(
        architecture.net,
        checkpoint,
        backbone.name,
        needed=architecture.needed,
        heads=architecture.heads,
    )
    pooling = pooling_module(spec.pooling)
    network = EmbeddingNetwork(architecture.body, pooling, spec.preprocessing)
    return network.eval().requires_grad_(False)
