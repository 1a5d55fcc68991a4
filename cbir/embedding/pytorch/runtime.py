"""Runs networks in torch: on a GPU in half precision, or on the CPU instead of OpenVINO."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec, available_cores
from cbir.embedding.pytorch.batch_norm import fold_batch_norms
from cbir.embedding.pytorch.cuda_graphs import GraphedNetwork
from cbir.embedding.pytorch.network import build_network
from cbir.embedding.vectors import stack_images, unit_rows
from cbir.errors import BackboneError

__all__ = ["TorchRuntime"]

log = logging.getLogger(__name__)

GPU_BATCH = 64
CPU_BATCH = 4
"""Images per inference on a CPU: small batches fit the processor's cache, which is faster."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchRuntime:
    """A network in torch; an Embedder. Calls from several threads take turns."""

    def __init__(
        self, spec: EmbeddingSpec, checkpoint: Path, *, device: str, precision: str = "auto"
    ) -> None:
        """Loads the checkpoint. Raises BackboneError without that device, WeightsError."""
        self.spec = spec
        self._device = _open_device(device)
        self.device = str(self._device)
        self._on_gpu = self._device.type == "cuda"
        # With a GPU, all cores decode; on the CPU, one call uses all cores.
        self.parallelism = available_cores() if self._on_gpu else 1
        self._batch = GPU_BATCH if self._on_gpu else CPU_BATCH
        self._checkpoint = checkpoint
        self._precision = _choose_precision(precision, self._device)
        self._may_fall_back = precision == "auto"
        self._lock = threading.Lock()
        if not self._on_gpu:
            torch.set_num_threads(available_cores())
        self._network = self._open(self._precision)

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        pixels = stack_images(images, self.spec.preprocessing.crop)
        vectors = np.empty((len(pixels), self.spec.dim), np.float32)
        start = 0
        while start < len(pixels):
            batch = torch.from_numpy(pixels[start : start + self._batch])
            try:
                vectors[start : start + len(batch)] = self._run(batch).numpy()
            except torch.cuda.OutOfMemoryError:
                self._shrink_batches(len(batch))
                continue
            start += len(batch)
        return unit_rows(vectors)

    def describe(self) -> str:
        name = torch.cuda.get_device_name(self._device) if self._on_gpu else "cpu"
        return f"torch {self._precision}, {name}"

    @property
    def network(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network on its device, without CUDA graphs."""
        network = self._network
        return network.network if isinstance(network, GraphedNetwork) else network

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) → float32 (N, D) on the device; a GPU may still be at work."""
        with self._lock, torch.inference_mode():
            return self._network(batch)

    def _open(self, precision: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network on its device; images may still be in main memory."""
        network = build_network(self.spec, self._checkpoint)
        network.body = fold_batch_norms(network.body)
        network.compute_in(DTYPES[precision])
        network = network.to(self._device).to(memory_format=torch.channels_last)
        return GraphedNetwork(network, self._device) if self._on_gpu else network

    def _run(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) → float32 (N, D), both in main memory."""
        if self._on_gpu:
            # Only copies from and to pinned memory are asynchronous.
            batch = batch.pin_memory()
        precision = self._precision
        vectors = self._fetch(batch)
        if self._may_fall_back and precision == "fp16" and not torch.isfinite(vectors).all():
            self._fall_back()
            vectors = self._fetch(batch)
        return vectors

    def _fetch(self, batch: torch.Tensor) -> torch.Tensor:
        if not self._on_gpu:
            return self.forward(batch)
        with torch.cuda.device(self._device), torch.inference_mode():
            vectors = self.forward(batch)
            fetched = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
            fetched.copy_(vectors, non_blocking=True)
            # Waits for this batch alone, not for other threads' batches, and without a busy loop.
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record()
        done.synchronize()
        return fetched

    def _fall_back(self) -> None:
        """Switches to fp32; embeddings in both precisions are comparable."""
        with self._lock:
            if self._precision != "fp32":
                log.warning("%s overflows in fp16; it runs in fp32", self.spec.backbone)
                self._network = self._open("fp32")
                self._precision = "fp32"

    def _shrink_batches(self, tried: int) -> None:
        """Reduces the batch size. Raises BackboneError if even one image does not fit."""
        if tried == 1:
            raise BackboneError(
                f"{self.spec.backbone} does not fit into the memory of {self.device}; choose a "
                f"smaller backbone or input size, or the device cpu"
            ) from None
        with self._lock:
            self._batch = min(self._batch, tried // 2)
            if isinstance(self._network, GraphedNetwork):
                self._network.clear()
                torch.cuda.empty_cache()


def _open_device(name: str) -> torch.device:
    """Raises BackboneError if there is no such device."""
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise BackboneError(
                f"no device {name!r}: torch sees {count} CUDA devices; choose the device cpu, "
                f"or install a build of torch and a driver that fit this GPU"
            )
        if device.index is None:  # the current device differs from thread to thread
            return torch.device("cuda", torch.cuda.current_device())
    return device


def _choose_precision(precision: str, device: torch.device) -> str:
    """Resolves `auto`: fp16 on a GPU and fp32 on a CPU. Raises BackboneError.

    The default backbone's worst cosine to fp32, over 48 photographs: 0.99996 in fp16 and 0.9968
    in bf16. fp16 has the narrower range; on overflow the network runs in fp32
    (`TorchRuntime._fall_back`).
    """
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if precision not in DTYPES:
        raise BackboneError(
            f"torch has no precision {precision!r}; choose auto, {', '.join(DTYPES)}"
        )
    return precision
