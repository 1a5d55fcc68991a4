"""From a feature map to one vector per image. Imported only where torch is."""

from __future__ import annotations

from torch import Tensor, nn

from cbir.config import Pooling

__all__ = ["AvgPooling", "GemPooling", "MaxPooling", "pooling_module"]


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


def pooling_module(pooling: Pooling) -> nn.Module:
    """The module of a pooling, float32 in and out.

    `flatten` keeps every position, (N, C, h, w) → (N, C·h·w), channels first: for VGG16 the classic
    "block5_pool, flattened". `cls` passes a class token (N, C) on as it is. Raises ValueError.
    """
    modules: dict[Pooling, type[nn.Module]] = {
        "avg": AvgPooling,
        "max": MaxPooling,
        "gem": GemPooling,
        "flatten": nn.Flatten,
        "cls": nn.Identity,
    }
    if pooling not in modules:
        raise ValueError(f"no pooling {pooling!r} for a network; there are {', '.join(modules)}")
    return modules[pooling]()
