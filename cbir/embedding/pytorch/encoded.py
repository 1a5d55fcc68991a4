"""Encoded images to vectors on a GPU: decoded there where it can be, by the CPU otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cbir.arrays import Vectors
from cbir.config import EmbeddingSpec
from cbir.embedding.encoded import DecodeAll, EmbeddedPicture
from cbir.embedding.pytorch.gpu_decoding import GpuDecoder
from cbir.embedding.views import average_views
from cbir.images import DecodedImage, DecodeOptions
from cbir.types import Remark

__all__ = ["DeviceEmbedder", "embed_on_device"]

_BESIDE = ThreadPoolExecutor(16, "cbir-beside")
"""Threads that wait for decoding processes, or decode where there are none."""


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
) -> list[EmbeddedPicture | Exception]:
    """As `cbir.embedding.encoded.embed_encoded`: one batch, and one copy of what a CPU decoded."""
    plans = decoder.plan(images, options)
    beside = [place for place, plan in enumerate(plans) if plan is None]
    # The CPU decodes its images while the GPU decodes the others.
    decoding = _BESIDE.submit(decode_all, [images[i] for i in beside], options) if beside else None
    on_device = decoder.decode_planned(plans, options)
    decoded = dict(zip(beside, decoding.result(), strict=True)) if decoding else {}
    refused = [i for i, image in enumerate(on_device) if image is None and i not in decoded]
    if refused:
        again = decode_all([images[place] for place in refused], options)
        decoded.update(zip(refused, again, strict=True))
    results: list[EmbeddedPicture | Exception | None] = [None] * len(images)
    sizes: list[tuple[int, int, int, tuple[Remark, ...]]] = []
    tensors: list[Tensor] = []
    arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    for place, image in enumerate(on_device):
        if image is not None:
            sizes.append((place, image.width, image.height, ()))
            tensors.append(image.pixels)
    for place, result in decoded.items():
        if isinstance(result, DecodedImage):
            sizes.append((place, result.width, result.height, result.remarks))
            arrays.append(result.pixels)
        else:
            results[place] = result
    batches = [torch.stack(tensors)] if tensors else []
    if arrays:
        batches.append(torch.from_numpy(np.stack(arrays)).to(decoder.device))
    if batches:
        vectors = _embed(embedder, torch.cat(batches))
        for (place, width, height, remarks), parts in zip(sizes, vectors, strict=True):
            results[place] = EmbeddedPicture(width, height, parts, remarks)
    return [result for result in results if result is not None]


def _embed(embedder: DeviceEmbedder, pixels: Tensor) -> Vectors:
    """uint8 (N, 1 + R, V, crop, crop, 3) → (N, 1 + R, D) float32, L2 = 1."""
    if embedder.spec.flip:
        pixels = torch.cat([pixels, pixels.flip(-2)], dim=2)
    parts, views = pixels.shape[:2], pixels.shape[2]
    vectors = embedder.embed_tensor(pixels.flatten(0, 2))
    return average_views(vectors, views).reshape(*parts, -1)
