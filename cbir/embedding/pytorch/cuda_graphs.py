"""CUDA graphs: a network's kernels recorded once per batch size, then launched together.

A network runs hundreds of kernels, each launched by the CPU: with small batches the GPU waits for
the launches, which also occupy cores needed for decoding. A CUDA graph launches them all at once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["SIZES", "CudaRecorder", "GraphedNetwork", "Recording"]

log = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Batch sizes that are recorded; a batch runs in the smallest that fits it."""
RUNS_BEFORE_RECORDING = 3
"""Number of runs of a batch size before it is recorded: recording delays a single query."""
RUNS_IN_LARGER = 30
"""The same for a size that runs in a larger recording meanwhile: the first run of a new size takes
seconds, in which cuDNN prepares kernels, such as at the last batch of a run."""
WARM_UPS = 3
"""Number of runs before a recording, in which libraries try kernels and allocate memory."""
TRIED = 64
"""Largest batch for which cuDNN tries its kernels."""
TOLERANCE = 0.02
"""Largest error of a recording's vectors, relative to their length: a cosine of 0.9998."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded kernels that read one fixed tensor and write another."""

    images: Tensor
    """uint8 (size, H, W, 3)"""
    vectors: Tensor
    """float32 (size, D)"""
    replay: Callable[[], None]


Recorder: TypeAlias = Callable[[Callable[[Tensor], Tensor], Tensor], Recording]


class CudaRecorder:
    """Records a network's kernels on a GPU; all recordings share one pool of memory.

    One is replayed at a time, and its output is copied before the next.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, network: Callable[[Tensor], Tensor], images: Tensor) -> Recording:
        """Record batches shaped as `images`, in inference mode. Raises RuntimeError."""
        device = images.device
        with (
            torch.cuda.device(device),
            # Restores this thread's stream, even after an error.
            torch.cuda.stream(torch.cuda.current_stream(device)),
            # cuDNN chooses its fastest kernels in the warm-up runs, and those are recorded. In
            # large batches they gain a hundredth, and trying them takes seconds.
            torch.backends.cudnn.flags(enabled=True, benchmark=len(images) <= TRIED),
        ):
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    network(images)
            torch.cuda.current_stream(device).wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads keep copying their batches, which a "global" recording forbids.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=aside, capture_error_mode="thread_local"
            ):
                vectors = network(images)
        return Recording(images, vectors, graph.replay)


class GraphedNetwork:
    """A network on a GPU that records and replays batch sizes it has run a few times.

    Without a working recording it runs the network itself. Not thread-safe.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        device: torch.device,
        *,
        recorder: Recorder | None = None,
    ) -> None:
        self.network = network
        self._device = device
        self._recorder = recorder or CudaRecorder()
        self._runs: Counter[int] = Counter()
        self._recordings: dict[int, Recording] = {}
        self._works = True

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) in any memory → float32 (N, D) on the GPU, computed asynchronously."""
        fitting = [size for size in SIZES if size >= len(images)]
        if not fitting:
            return self._run(images)
        size = fitting[0]
        recorded = min(self._recordings.keys() & fitting, default=None)
        self._runs[size] += 1
        due = RUNS_BEFORE_RECORDING if recorded is None else RUNS_IN_LARGER
        if self._works and recorded != size and self._runs[size] >= due:
            self._record(size, images)
            recorded = min(self._recordings.keys() & fitting, default=None)
        if recorded is None:
            return self._run(images)
        return self._replay(self._recordings[recorded], images)

    def clear(self) -> None:
        """Frees the memory of all recordings; they are recorded again when needed."""
        self._recordings.clear()
        self._runs.clear()

    def _run(self, images: Tensor) -> Tensor:
        vectors: Tensor = self.network(images.to(self._device, non_blocking=True))
        return vectors

    def _replay(self, recording: Recording, images: Tensor) -> Tensor:
        recording.images[: len(images)].copy_(images, non_blocking=True)
        recording.replay()
        # The next replay overwrites it.
        return recording.vectors[: len(images)].clone()

    def _record(self, size: int, images: Tensor) -> None:
        """Records batches of `size`, unless that fails or gives other results."""
        blank = torch.zeros((size, *images.shape[1:]), dtype=torch.uint8, device=self._device)
        try:
            recording = self._recorder(self.network, blank)
            vectors, expected = self._replay(recording, images), self._run(images)
            error, length = (vectors - expected).norm(dim=1), expected.norm(dim=1)
            if not bool((error <= TOLERANCE * length + 1e-6).all()):
                raise RuntimeError("its vectors differ from the network's")
        except RuntimeError as error:  # torch raises it for CUDA errors, also for lack of memory
            log.warning("no CUDA graph of this network, which runs without: %s", error)
            self._works = False
            self._recordings.clear()
            return
        self._recordings[size] = recording
