"""Runs exported networks on the CPU; they load in a fraction of a second, without torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec, available_cores
from cbir.embedding.openvino.compiling import HINTS, compile_network, has_native_bf16
from cbir.embedding.openvino.importing import import_openvino
from cbir.embedding.vectors import stack_images, unit_rows
from cbir.errors import BackboneError

__all__ = ["OpenVinoRuntime"]

BATCH = 4
"""Images per inference: small batches fit the processor's cache, which is faster on a CPU."""


class OpenVinoRuntime:
    """An exported network, compiled for this processor; an Embedder."""

    def __init__(
        self, spec: EmbeddingSpec, network: Path, *, precision: str = "auto", streams: int = 1
    ) -> None:
        """Loads `network` (an .xml file). Raises BackboneError for an unknown precision."""
        core = import_openvino().Core()
        if precision == "auto":
            precision = "bf16" if has_native_bf16(core) else "fp32"
        if precision not in HINTS:
            raise BackboneError(
                f"openvino has no precision {precision!r}; choose auto, fp32, bf16 or int8"
            )
        self.spec = spec
        self.device = "cpu"
        self.parallelism = streams
        self._precision = precision
        self._local = threading.local()
        options = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": max(streams, available_cores()),
            "ENABLE_CPU_PINNING": False,  # decoding threads and other processes need cores, too
        }
        self._model = _compile(core, network, precision, options)

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """N × uint8 (crop, crop, 3) → (N, D) float32, L2 = 1."""
        pixels = stack_images(images, self.spec.preprocessing.crop)
        vectors = np.empty((len(pixels), self.spec.dim), np.float32)
        request = self._request()
        for start in range(0, len(pixels), BATCH):
            _infer(request, pixels[start : start + BATCH])
            vectors[start : start + BATCH] = request.get_output_tensor(0).data
        return unit_rows(vectors)

    def describe(self) -> str:
        streams = "1 stream" if self.parallelism == 1 else f"{self.parallelism} streams"
        return f"openvino {self._precision}, {streams}"

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


def _compile(core: Any, network: Path, precision: str, options: dict[str, Any]) -> Any:
    """Compiles a network, or loads it from the cache of compiled networks if possible."""
    cache = {"CACHE_DIR": str(network.parent / "compiled")}
    try:
        return compile_network(core, network, precision, {**options, **cache})
    except RuntimeError:
        return compile_network(core, network, precision, options)
