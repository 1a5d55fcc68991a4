"""Runs exported networks in OpenVINO; they load in a fraction of a second, without torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec, available_cores
from cbir.embedding.openvino.compiling import GPU_HINTS, HINTS, compile_network, has_native_bf16
from cbir.embedding.openvino.importing import import_openvino
from cbir.embedding.vectors import stack_images, unit_rows
from cbir.errors import BackboneError

__all__ = ["OpenVinoRuntime"]

BATCH = 4
"""Images per inference: small batches fit the processor's cache, which is faster on a CPU."""
GPU_BATCH = 16
"""The same on a GPU, whose memory is often the machine's own."""


class OpenVinoRuntime:
    """An exported network, compiled for this processor or its GPU; an Embedder."""

    def __init__(
        self,
        spec: EmbeddingSpec,
        network: Path,
        *,
        device: str = "cpu",
        precision: str = "auto",
        streams: int = 1,
    ) -> None:
        """Loads `network` (an .xml file) for the device cpu, openvino:GPU or openvino:GPU.N.

        Raises BackboneError for a device that is not present, or an unknown precision.
        """
        core = import_openvino().Core()
        target = _target(core, device)
        hints = HINTS if target == "CPU" else GPU_HINTS
        if precision == "auto" and target == "CPU":
            precision = "bf16" if has_native_bf16(core) else "fp32"
        elif precision == "auto":
            precision = "fp16"
        if precision not in hints:
            raise BackboneError(
                f"openvino has no precision {precision!r} on {device}; "
                f"choose auto, {', '.join(hints)}"
            )
        self.spec = spec
        self.device = device
        self.parallelism = streams
        self._precision = precision
        self._batch = BATCH if target == "CPU" else GPU_BATCH
        self._local = threading.local()
        options: dict[str, Any] = {"NUM_STREAMS": streams}
        if target == "CPU":
            # Not pinned to cores: decoding threads and other processes need them, too.
            threads = max(streams, available_cores())
            options |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        self._model = _compile(core, network, precision, options, target)

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        pixels = stack_images(images, self.spec.preprocessing.crop)
        vectors = np.empty((len(pixels), self.spec.dim), np.float32)
        request = self._request()
        for start in range(0, len(pixels), self._batch):
            _infer(request, pixels[start : start + self._batch])
            vectors[start : start + self._batch] = request.get_output_tensor(0).data
        return unit_rows(vectors)

    def describe(self) -> str:
        streams = "1 stream" if self.parallelism == 1 else f"{self.parallelism} streams"
        place = "" if self.device == "cpu" else f" on {self.device.partition(':')[2]}"
        return f"openvino {self._precision}{place}, {streams}"

    def _request(self) -> Any:
        """The calling thread's own inference request: requests are not shared between threads."""
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        return self._local.request


_inferred = threading.Event()
_first_inference = threading.Lock()


def _infer(request: Any, batch: Pixels) -> None:
    """Runs a request; the first requests of a process run one after another.

    OpenVINO's Python binding initialises static variables in its first inference, where two threads
    can deadlock.
    """
    with nullcontext() if _inferred.is_set() else _first_inference:
        request.infer([batch], share_inputs=True)
    _inferred.set()


def _target(core: Any, device: str) -> str:
    """OpenVINO's name of a device. Raises BackboneError if it is not present."""
    target = "CPU" if device == "cpu" else device.partition(":")[2]
    present = core.available_devices
    if target not in present and not any(name.startswith(f"{target}.") for name in present):
        raise BackboneError(
            f"no device {device!r}: openvino sees {', '.join(present) or 'none'}; choose the "
            "device cpu, or install the driver of this GPU"
        )
    return target


def _compile(core: Any, network: Path, precision: str, options: dict[str, Any], device: str) -> Any:
    """Compiles a network, or loads it from the cache of compiled networks if possible."""
    cache = {"CACHE_DIR": str(network.parent / "compiled")}
    try:
        return compile_network(core, network, precision, {**options, **cache}, device=device)
    except RuntimeError:
        return compile_network(core, network, precision, options, device=device)
