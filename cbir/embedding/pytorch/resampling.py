"""Resamples a batch of images of different sizes as two matrix products, with Pillow's weights.

Resampling is linear: `out = Wy · image · Wxᵀ`. A row of W has the weights of one output pixel; they
are those of Pillow: the kernel is widened by the scale, so that shrinking does not alias, and the
weights are normalised where the kernel leaves the image. Pillow rounds to whole grey levels after
its first pass; so does this, and the results differ by at most one grey level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cbir.config import Interpolation
from cbir.images.geometry import Box

__all__ = ["SUPPORT", "resample_boxes", "vertical_first"]

SUPPORT: dict[Interpolation, float] = {"bilinear": 1.0, "bicubic": 2.0}
"""Half the width of each kernel, in pixels of the larger of input and output."""
_CUBIC = -0.5
"""Parameter a of the bicubic kernel (R. Keys, IEEE ASSP 1981)."""


def vertical_first(width: int, height: int, side: int) -> bool:
    """Whether Pillow resamples the columns of an image before its rows, as it does from 12 on.

    That is less work where the height shrinks by more than twice the pixels of the width.
    """
    return height > side and height - side > 2 * (width - side)


def resample_boxes(
    images: Tensor,
    sizes: Sequence[tuple[int, int]],
    boxes: Sequence[Box],
    side: int,
    interpolation: Interpolation,
    *,
    vertical: Sequence[bool] = (),
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """uint8 (N, 3, H, W) → uint8 (N, side, side, 3): the box of each image, resampled.

    `sizes` are the (width, height) of the images, which may be padded to H × W; `boxes` are the
    edges in pixels of each image, as in `PIL.Image.resize`; `vertical` says which images are
    resampled along their columns first. The products are computed in `dtype`.
    """
    height, width = images.shape[-2:]
    places = [(*size, *box) for size, box in zip(sizes, boxes, strict=True)]
    table = torch.tensor(places, dtype=torch.float32).to(images.device)
    widths, heights, left, upper, right, lower = table.unbind(1)
    across = _weights(widths, left, right, side, width, interpolation).to(dtype)[:, None].mT
    down = _weights(heights, upper, lower, side, height, interpolation).to(dtype)[:, None]
    if not any(vertical):
        squares = _grey_levels(down @ _grey_levels(images.to(dtype) @ across))
    elif all(vertical):
        squares = _grey_levels(_grey_levels(down @ images.to(dtype)) @ across)
    else:
        squares = torch.empty((len(images), 3, side, side), dtype=dtype, device=images.device)
        for first in (False, True):
            rows = torch.tensor([i for i, v in enumerate(vertical) if v == first])
            rows = rows.to(images.device)
            some, x, y = images[rows].to(dtype), across[rows], down[rows]
            squares[rows] = (
                _grey_levels(_grey_levels(y @ some) @ x)
                if first
                else _grey_levels(y @ _grey_levels(some @ x))
            )
    return squares.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _grey_levels(values: Tensor) -> Tensor:
    """Whole numbers from 0 to 255, as Pillow stores them after each pass; in place."""
    return values.add_(0.5).floor_().clamp_(0, 255)


def _weights(
    lengths: Tensor, start: Tensor, end: Tensor, side: int, padded: int, kernel: Interpolation
) -> Tensor:
    """(N, side, padded) float32: the weight of each input pixel for each output pixel."""
    scale = ((end - start) / side)[:, None, None]
    places = torch.arange(side, device=lengths.device)[None, :, None] + 0.5
    centres = start[:, None, None] + places * scale
    pixels = torch.arange(padded, device=lengths.device)[None, None] + 0.5
    weights = _KERNELS[kernel](((pixels - centres) / scale.clamp(min=1)).abs_())
    weights = weights * (pixels < lengths[:, None, None])
    return weights / weights.sum(-1, keepdim=True)


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x).clamp_(min=0)


def _bicubic(x: Tensor) -> Tensor:
    near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * _CUBIC
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))


_KERNELS = {"bilinear": _bilinear, "bicubic": _bicubic}
