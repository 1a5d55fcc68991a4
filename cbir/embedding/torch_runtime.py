"""Networks in torch: on a GPU in half precision, or on the CPU where OpenVINO is not wanted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cbir.config import EmbeddingSpec, available_cores
from cbir.embedding.networks import build_network
from cbir.embedding.vectors import Pixels, Vectors, stack_images, unit_rows
from cbir.errors import BackboneError

__all__ = ["TorchRuntime"]

GPU_BATCH = 64
CPU_BATCH = 4
"""Small batches stay in the processor's cache, which is faster on a CPU."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchRuntime:
    """A network in torch; an Embedder. Calls from several threads take turns."""

    def __init__(
        self, spec: EmbeddingSpec, checkpoint: Path, *, device: str, precision: str = "auto"
    ) -> None:
        """Loads the checkpoint. Raises BackboneError without that device, WeightsError."""
        self.spec = spec
        self._device = _open_device(device)
        self._on_gpu = self._device.type == "cuda"
        # Before a GPU, every core decodes; on the CPU one call has all cores.
        self.parallelism = available_cores() if self._on_gpu else 1
        self._batch = GPU_BATCH if self._on_gpu else CPU_BATCH
        self._precision = _choose_precision(precision, self._device)
        self._lock = threading.Lock()
        if not self._on_gpu:
            torch.set_num_threads(available_cores())
        network = build_network(spec, checkpoint).to(self._device)
        self._network = network.to(memory_format=torch.channels_last)

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        pixels = stack_images(images, self.spec.preprocessing.crop)
        vectors = np.empty((len(pixels), self.spec.dim), np.float32)
        for start in range(0, len(pixels), self._batch):
            stop = start + self._batch
            vectors[start:stop] = self._run(torch.from_numpy(pixels[start:stop])).numpy()
        return unit_rows(vectors)

    def describe(self) -> str:
        name = torch.cuda.get_device_name(self._device) if self._on_gpu else "cpu"
        return f"torch {self._precision}, {name}"

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) → float32 (N, D), both on the device; a GPU may still be at work."""
        dtype = DTYPES[self._precision]
        autocast = torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32)
        with self._lock, torch.inference_mode(), autocast:
            output: torch.Tensor = self._network(batch)
            return output.float()

    def _run(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) → float32 (N, D), both in main memory."""
        if self._on_gpu:
            # Only copies from pinned memory let the processor go on meanwhile.
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        # Waited for outside of the lock: the next thread's batch is queued behind this one's.
        return self.forward(batch).cpu()


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
    return device


def _choose_precision(precision: str, device: torch.device) -> str:
    """`auto` is bf16 on a GPU that computes in it, fp16 on an older one, fp32 on a CPU."""
    if precision == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if precision not in DTYPES:
        raise BackboneError(
            f"torch has no precision {precision!r}; choose auto, {', '.join(DTYPES)}"
        )
    return precision
