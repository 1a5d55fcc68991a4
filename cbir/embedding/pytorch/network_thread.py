"""The one thread that launches a network's kernels, and the copies to and from its GPU.

cuDNN chooses its kernels once in each thread, which takes up to seconds: a network belongs to one
thread that lives as long as its embedder. Other threads copy their images to the GPU on streams of
their own, hand them over, and wait for the vectors alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cbir.arrays import Pixels

__all__ = ["NetworkThread"]

T = TypeVar("T")


class NetworkThread:
    """Runs a network on one GPU for any number of threads."""

    def __init__(
        self,
        device: torch.device,
        network: Callable[[Tensor], Tensor],
        *,
        batch: int,
        side: int,
    ) -> None:
        """`network` takes uint8 (N, side, side, 3) on the GPU, at most `batch` of them."""
        self._device = device
        self._network = network
        self._shape = batch, side, side, 3
        self._slots: SimpleQueue[Tensor] = SimpleQueue()
        self._streams = threading.local()
        self._thread = ThreadPoolExecutor(1, "cbir-network")
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def call(self, work: Callable[[], T]) -> T:
        """Run a function in the network's thread, on its stream, and return its result."""

        def run() -> T:
            with (
                torch.inference_mode(),
                torch.cuda.device(self._device),
                torch.cuda.stream(self._stream),
            ):
                return work()

        return self._thread.submit(run).result()

    def embed(self, images: Sequence[Pixels] | Tensor) -> Tensor:
        """uint8 images in main memory, or as a tensor on the GPU → float32 (N, D) in main memory.

        The vectors lie in pinned memory. Raises torch.cuda.OutOfMemoryError.
        """
        with self._slot() as slot, torch.cuda.device(self._device), torch.inference_mode():
            stream = self._own_stream()
            with torch.cuda.stream(stream):
                batch = images if isinstance(images, Tensor) else self._upload(images, slot)
                ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
                ready.record(stream)
            vectors, done = self.call(lambda: self._launch(batch, ready))
            done.synchronize()
        return vectors

    def _upload(self, images: Sequence[Pixels], slot: Tensor) -> Tensor:
        """Copy images to the GPU by way of pinned memory, without waiting."""
        np.stack(images, out=slot.numpy()[: len(images)])
        return slot[: len(images)].to(self._device, non_blocking=True)

    def _launch(self, batch: Tensor, ready: torch.cuda.Event) -> tuple[Tensor, torch.cuda.Event]:
        """Start the network and the copy of its vectors, in its thread."""
        self._stream.wait_event(ready)
        batch.record_stream(self._stream)
        vectors = self._network(batch)
        fetched = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        fetched.copy_(vectors, non_blocking=True)
        # Waits for this batch alone, not for other threads' batches, and without a busy loop.
        done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        done.record(self._stream)
        return fetched, done

    @contextmanager
    def _slot(self) -> Iterator[Tensor]:
        """Pinned memory for a batch: pinning takes longer than a copy, so that it is kept."""
        try:
            slot = self._slots.get_nowait()
        except Empty:
            slot = torch.empty(self._shape, dtype=torch.uint8, pin_memory=True)
        try:
            yield slot
        finally:
            self._slots.put(slot)

    def _own_stream(self) -> torch.cuda.Stream:
        """The calling thread's stream."""
        stream: torch.cuda.Stream | None = getattr(self._streams, "stream", None)
        if stream is None:
            stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            self._streams.stream = stream
        return stream
