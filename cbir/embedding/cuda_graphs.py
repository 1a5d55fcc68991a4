"""A network's kernels recorded once per batch size, and started together ever after.

A network is hundreds of kernels, each started by the processor: with small batches a GPU waits
for that, and the cores it takes are wanted for decoding. A CUDA graph starts them all at once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

__all__ = ["SIZES", "GraphedNetwork", "Recording", "record"]

log = logging.getLogger(__name__)

SIZES = (1, 4, 16, 64)
"""Batch sizes that are recorded; a batch runs in the smallest that holds it."""
OFTEN = 3
"""The first runs of a size are not recorded: a single query would wait for a recording."""
WARM_UPS = 3
"""Runs before a recording, in which libraries try out kernels and set aside memory."""
PARITY = 0.999
"""Least cosine of what a recording and the network itself make of the same images."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Kernels that read one fixed tensor and write another."""

    images: Tensor
    """uint8 (size, H, W, 3)"""
    vectors: Tensor
    """float32 (size, D)"""
    replay: Callable[[], None]


Recorder: TypeAlias = Callable[[nn.Module, Tensor], Recording]


def record(network: nn.Module, images: Tensor) -> Recording:
    """Records what a network does with images of that shape, on their GPU, in inference mode."""
    device = images.device
    # What is tried out and found fastest in the warm-ups is what is recorded.
    with torch.cuda.device(device), torch.backends.cudnn.flags(enabled=True, benchmark=True):
        aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                network(images)
        torch.cuda.current_stream(device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads go on copying their batches meanwhile, which a "global" recording forbids.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            vectors = network(images)
    return Recording(images, vectors, graph.replay)


class GraphedNetwork:
    """A network on a GPU, by recordings of it once a batch size has come a few times.

    Without a recording that works it is the network itself. Calls must take turns.
    """

    def __init__(
        self, network: nn.Module, device: torch.device, *, recorder: Recorder = record
    ) -> None:
        self.network = network
        self._device = device
        self._recorder = recorder
        self._met: Counter[int] = Counter()
        self._recordings: dict[int, Recording] = {}
        self._works = True

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) in any memory → float32 (N, D) on the GPU, which may be at work."""
        size = min((one for one in SIZES if one >= len(images)), default=None)
        if size is None:
            return self._run(images)
        self._met[size] += 1
        if self._works and self._met[size] == OFTEN:
            self._record(size, images)
        if size not in self._recordings:
            return self._run(images)
        return self._replay(self._recordings[size], images)

    def _run(self, images: Tensor) -> Tensor:
        vectors: Tensor = self.network(images.to(self._device, non_blocking=True))
        return vectors

    def _replay(self, recording: Recording, images: Tensor) -> Tensor:
        recording.images[: len(images)].copy_(images, non_blocking=True)
        recording.replay()
        # The next replay writes over it.
        return recording.vectors[: len(images)].clone()

    def _record(self, size: int, images: Tensor) -> None:
        """Keeps a recording for batches of `size`, if there can be one and it is right."""
        blank = torch.zeros((size, *images.shape[1:]), dtype=torch.uint8, device=self._device)
        try:
            recording = self._recorder(self.network, blank)
            found, expected = self._replay(recording, images), self._run(images)
            alike = torch.nn.functional.cosine_similarity(found, expected, dim=1)
            if not bool((alike >= PARITY).all()):
                raise RuntimeError(f"its cosine to the network is {float(alike.min()):.4f}")
        except RuntimeError as error:  # as torch's errors of CUDA are, lack of memory among them
            log.warning("no CUDA graph of this network, which runs without: %s", error)
            self._works = False
            return
        self._recordings[size] = recording
