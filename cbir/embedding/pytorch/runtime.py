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
from cbir.embedding.encoded import DecodeAll, EmbeddedPicture, embed_decoded
from cbir.embedding.pytorch.compiled import DTYPES, CompileJob, Compiler, open_network
from cbir.embedding.pytorch.cuda_graphs import GraphedNetwork
from cbir.embedding.pytorch.encoded import embed_on_device
from cbir.embedding.pytorch.gpu_decoding import GpuDecoder, nvjpeg_decoder
from cbir.embedding.pytorch.network_thread import NetworkThread
from cbir.embedding.vectors import check_images, unit_rows
from cbir.errors import BackboneError
from cbir.images import DecodeOptions

__all__ = ["TorchRuntime"]

log = logging.getLogger(__name__)

GPU_BATCH = 256
"""Most images per inference on a GPU; half as fast again as batches of 64 (ResNet-50, H200)."""
SMALL_GPU_BATCH = 64
SMALL_GPU_BYTES = 8 << 30
"""A GPU with less memory than this runs small batches."""
GPU_CALLERS = 6
"""Number of threads that should call at once: some read and hash, some wait for the GPU."""
OTHER_CALLERS = 2
"""The same for a GPU other than by CUDA."""
CPU_BATCH = 4
"""Images per inference on a CPU: small batches fit the processor's cache, which is faster."""


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
        # Other GPUs run without recordings and without a thread of their own.
        self.parallelism = {"cuda": GPU_CALLERS, "cpu": 1}.get(self._device.type, OTHER_CALLERS)
        self._batch = _batch_size(self._device)
        self._checkpoint = checkpoint
        self._precision = _choose_precision(precision, self._device)
        self._may_fall_back = precision == "auto"
        self._lock = threading.Lock()
        self._compiler: Compiler | None = None
        self._network = self._open(self._precision)
        self._thread: NetworkThread | None = None
        self._decoder: GpuDecoder | None = None
        if self._on_gpu:
            self._thread = NetworkThread(
                self._device, self._forward, batch=self._batch, side=spec.preprocessing.crop
            )
            decode = nvjpeg_decoder(self._device)
            self._decoder = None if decode is None else GpuDecoder(self._device, decode)
        elif self._device.type == "cpu":
            torch.set_num_threads(available_cores())

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        check_images(images, self.spec.preprocessing.crop)
        return self._in_batches(images)

    def embed_tensor(self, images: torch.Tensor) -> Vectors:
        """uint8 (N, crop, crop, 3) on the device → (N, D) float32, L2 = 1."""
        return self._in_batches(images)

    def embed_encoded(
        self, images: Sequence[bytes], options: DecodeOptions, decode_all: DecodeAll
    ) -> Sequence[EmbeddedPicture | Exception]:
        """As `cbir.embedding.encoded.embed_encoded`; a GPU decodes most JPEGs."""
        if self._decoder is None:
            return embed_decoded(self, decode_all(images, options))
        return embed_on_device(self, self._decoder, images, options, decode_all)

    def describe(self) -> str:
        name = torch.cuda.get_device_name(self._device) if self._on_gpu else self._device.type
        return f"torch {self._precision}, {name}"

    @property
    def batch(self) -> int:
        """Number of images that the network is given at once."""
        return self._batch

    @property
    def network(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network on its device, without CUDA graphs."""
        network = self._network
        return network.network if isinstance(network, GraphedNetwork) else network

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) → float32 (N, D) on the device; a GPU may still be at work."""
        if self._thread is not None:
            return self._thread.call(lambda: self._forward(batch))
        with torch.inference_mode():
            return self._forward(batch)

    def compile(self) -> bool:
        """Compile the network for full batches now; False where that does not work.

        Long runs on a GPU do so in the background.
        """
        return self._compiler is not None and self._compiler.wait()

    def _forward(self, batch: torch.Tensor) -> torch.Tensor:
        with self._lock:
            compiled = None if self._compiler is None else self._compiler.network(len(batch))
            return self._network(batch) if compiled is None else compiled(batch)

    def _open(self, precision: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """The network on its device; images may still be in main memory."""
        job = CompileJob(self.spec, self._checkpoint, self.device, precision, self._batch)
        network = open_network(job)
        if not self._on_gpu:
            return network
        if self._compiler is not None:
            self._compiler.stop()
        self._compiler = Compiler(job, network)
        return GraphedNetwork(network, self._device)

    def _in_batches(self, images: Sequence[Pixels] | torch.Tensor) -> Vectors:
        vectors = np.empty((len(images), self.spec.dim), np.float32)
        start = 0
        while start < len(images):
            batch = images[start : start + self._batch]
            try:
                vectors[start : start + len(batch)] = self._run(batch).numpy()
            except torch.cuda.OutOfMemoryError:
                self._shrink_batches(len(batch))
                continue
            start += len(batch)
        return unit_rows(vectors)

    def _run(self, batch: Sequence[Pixels] | torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, 3) → float32 (N, D) in main memory."""
        precision = self._precision
        vectors = self._fetch(batch)
        if self._may_fall_back and precision == "fp16" and not torch.isfinite(vectors).all():
            self._fall_back()
            vectors = self._fetch(batch)
        return vectors

    def _fetch(self, batch: Sequence[Pixels] | torch.Tensor) -> torch.Tensor:
        if self._thread is not None:
            return self._thread.embed(batch)
        pixels = batch if isinstance(batch, torch.Tensor) else torch.from_numpy(np.stack(batch))
        return self.forward(pixels.to(self._device)).cpu()

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
            self._compiler = None  # it is made for the larger batch
            if isinstance(self._network, GraphedNetwork):
                self._network.clear()
                torch.cuda.empty_cache()


def _batch_size(device: torch.device) -> int:
    if device.type != "cuda":
        return CPU_BATCH if device.type == "cpu" else SMALL_GPU_BATCH
    small = torch.cuda.get_device_properties(device).total_memory < SMALL_GPU_BYTES
    return SMALL_GPU_BATCH if small else GPU_BATCH


def _open_device(name: str) -> torch.device:
    """Raises BackboneError if there is no such device."""
    device = torch.device(name)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BackboneError(f"no device {name!r}: torch sees no Apple GPU; choose the device cpu")
    if device.type not in ("cuda", "xpu"):
        return device
    module = torch.cuda if device.type == "cuda" else torch.xpu
    count = module.device_count() if module.is_available() else 0
    if (device.index or 0) >= count:
        raise BackboneError(
            f"no device {name!r}: torch sees {count} {device.type.upper()} devices; choose the "
            f"device cpu, or install a build of torch and a driver that fit this GPU"
        )
    if device.index is None:  # the current device differs from thread to thread
        return torch.device(device.type, module.current_device())
    return device


def _choose_precision(precision: str, device: torch.device) -> str:
    """Resolves `auto`: fp16 by CUDA and fp32 elsewhere. Raises BackboneError.

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
