"""Pooling: a feature map to one vector per image, as torch modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cbir.config import Pooling

__all__ = ["AvgPooling", "GemPooling", "MaxPooling", "RmacPooling", "pooling_module"]


class AvgPooling(nn.Module):
    """The mean over positions, (N, C, h, w) → (N, C): 1/(h·w) · Σ x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class MaxPooling(nn.Module):
    """The maximum over positions, (N, C, h, w) → (N, C): MAC of Tolias et al. 2016."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(dim=(2, 3))


class GemPooling(nn.Module):
    """Generalised mean over positions (Radenović et al. 2018), (N, C, h, w) → (N, C).

    (1/(h·w) · Σ max(x, ε)^p)^(1/p) with p = 3: between the mean (p = 1) and the maximum (p → ∞).
    Raises ValueError if p <= 0.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        if p <= 0:
            raise ValueError(f"GeM's p is {p}; it must be greater than 0")
        self.p = p
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=self.eps).pow(self.p).mean(dim=(2, 3)).pow(1.0 / self.p)


class RmacPooling(nn.Module):
    """Regional maxima (R-MAC, Tolias et al. 2016), (N, C, s, s) → (N, C).

    The sum of the maxima over square regions, each scaled to unit norm. The regions have side
    2 · s / (l + 1) at the scales l = 1, 2, 3, with l × l of them spread evenly: 14 in all. (The
    paper whitens the regions before the sum; cbir can whiten embeddings instead.)
    """

    SCALES = (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x[:, :, 0, 0])
        for top, left, side in rmac_regions(x.shape[-1]):
            region = x[:, :, top : top + side, left : left + side].amax(dim=(2, 3))
            total = total + region / region.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return total


def rmac_regions(size: int) -> list[tuple[int, int, int]]:
    """The regions of a map of `size` × `size` positions: (top, left, side), without repeats."""
    regions = []
    for scale in RmacPooling.SCALES:
        side = max(1, -(-2 * size // (scale + 1)))
        starts = [round(i * (size - side) / max(1, scale - 1)) for i in range(scale)]
        regions += [(top, left, side) for top in starts for left in starts]
    return list(dict.fromkeys(regions))


def pooling_module(pooling: Pooling) -> nn.Module:
    """The module of a pooling, float32 in and out.

    `flatten` keeps every position, (N, C, h, w) → (N, C·h·w), channels first: for VGG16 the classic
    "block5_pool, flattened". `cls` returns a class token (N, C) unchanged. Raises ValueError.
    """
    modules: dict[Pooling, type[nn.Module]] = {
        "avg": AvgPooling,
        "max": MaxPooling,
        "gem": GemPooling,
        "rmac": RmacPooling,
        "flatten": nn.Flatten,
        "cls": nn.Identity,
    }
    if pooling not in modules:
        raise ValueError(f"no pooling {pooling!r} for a network; there are {', '.join(modules)}")
    return modules[pooling]()
