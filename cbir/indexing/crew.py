"""Who works for an embedder: how many threads, how much each of them takes, and who decodes."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from cbir.config import available_cores
from cbir.embedding import Embedder
from cbir.images import DecodedImage, DecodeOptions, decode_image
from cbir.images.processes import Decoders

__all__ = ["Crew", "EmbeddingCrew", "ExaminingCrew"]

CHUNK = 16
"""Images that a thread takes at once: enough to batch, few enough to share out evenly."""
GPU_CHUNK = 64
"""Inputs of the network: fewer do not keep a GPU busy."""
SPARE = 2
"""Threads more than decoders, which shall not wait for a thread that waits for the GPU."""


class Crew(Protocol):
    """Asked only when there is work: an embedder opens its network for it."""

    def assemble(self) -> int:
        """Get ready, once, before the first chunk; how many threads there shall be."""
        ...

    def chunk(self) -> int:
        """How many images a thread takes at once."""
        ...


class ExaminingCrew:
    """Nothing is embedded: as many threads as there are cores."""

    def assemble(self) -> int:
        return available_cores()

    def chunk(self) -> int:
        return CHUNK


class EmbeddingCrew:
    """On a CPU the threads that embed decode as well; before a GPU, processes do.

    Decoding threads share one interpreter, which a photograph of 500 pixels keeps for 0.5 ms: no
    more than 2,000 images a second, whatever the cores. With a process to decode it, 0.2 ms are
    left. On two cores that compute as well, processes are slower by a twentieth.
    """

    def __init__(
        self, embedder: Embedder, decoders: int | Decoders | None = None, *, regions: int = 0
    ) -> None:
        """`decoders` is how many processes decode, 0 for none, None for what pays off.

        Of each image so many regions are embedded, too.
        """
        self._embedder = embedder
        self._inputs = len(embedder.spec.views) * (1 + regions)
        self._asked = decoders.count if isinstance(decoders, Decoders) else decoders
        self._decoders = decoders if isinstance(decoders, Decoders) else None

    def assemble(self) -> int:
        threads, count = self._embedder.parallelism, self._asked
        if count is None:
            count = 0 if self._on_cpu() else available_cores()
        if count == 0:
            return threads
        self._decoders = self._decoders or Decoders(count)
        return max(threads, count + SPARE)

    def chunk(self) -> int:
        return CHUNK if self._on_cpu() else max(CHUNK, GPU_CHUNK // self._inputs)

    def decode(self, data: bytes, options: DecodeOptions) -> DecodedImage:
        """As `cbir.images.decode_image`, in the calling thread or in a process."""
        do = decode_image if self._decoders is None else self._decoders.decode
        return do(data, options)

    def __enter__(self) -> EmbeddingCrew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if self._decoders is not None:
            self._decoders.close()

    def _on_cpu(self) -> bool:
        return self._embedder.device == "cpu"
