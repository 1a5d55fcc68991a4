"""Encoded images to vectors on a GPU: decoded there where it can be, by the CPU otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cbir.arrays import Vectors
from cbir.config import EmbeddingSpec
from cbir.embedding.encoded import DecodeAll, EmbeddedPicture
from cbir.embedding.pytorch.gpu_decoding import GpuDecoder
from cbir.embedding.views import average_views
from cbir.errors import ImageError
from cbir.images import DecodedImage, DecodeOptions

__all__ = ["DeviceEmbedder", "embed_on_device"]


class DeviceEmbedder(Protocol):
    """Embeds pixels that lie on its device."""

    @property
    def spec(self) -> EmbeddingSpec: ...

    def embed_tensor(self, images: Tensor) -> Vectors:
        """uint8 (N, crop, crop, 3) on its device → (N, D) float32, L2 = 1."""
        ...


def embed_on_device(
    embedder: DeviceEmbedder,
    decoder: GpuDecoder,
    images: Sequence[bytes],
    options: DecodeOptions,
    decode_all: DecodeAll,
) -> list[EmbeddedPicture | ImageError]:
    """As `cbir.embedding.encoded.embed_encoded`: one batch, and one copy of what a CPU decoded."""
    on_device = decoder.decode(images, options)
    others = [place for place, image in enumerate(on_device) if image is None]
    decoded = decode_all([images[place] for place in others], options) if others else ()
    results: list[EmbeddedPicture | ImageError | None] = [None] * len(images)
    sizes: list[tuple[int, int, int]] = []
    tensors: list[Tensor] = []
    arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    for place, image in enumerate(on_device):
        if image is not None:
            sizes.append((place, image.width, image.height))
            tensors.append(image.pixels)
    for place, result in zip(others, decoded, strict=True):
        if isinstance(result, DecodedImage):
            sizes.append((place, result.width, result.height))
            arrays.append(result.pixels)
        else:
            results[place] = result
    batches = [torch.stack(tensors)] if tensors else []
    if arrays:
        batches.append(torch.from_numpy(np.stack(arrays)).to(decoder.device))
    if batches:
        vectors = _embed(embedder, torch.cat(batches))
        for (place, width, height), parts in zip(sizes, vectors, strict=True):
            results[place] = EmbeddedPicture(width, height, parts)
    return [result for result in results if result is not None]


def _embed(embedder: DeviceEmbedder, pixels: Tensor) -> Vectors:
    """uint8 (N, 1 + R, V, crop, crop, 3) → (N, 1 + R, D) float32, L2 = 1."""
    if embedder.spec.flip:
        pixels = torch.cat([pixels, pixels.flip(-2)], dim=2)
    parts, views = pixels.shape[:2], pixels.shape[2]
    vectors = embedder.embed_tensor(pixels.flatten(0, 2))
    return average_views(vectors, views).reshape(*parts, -1)
