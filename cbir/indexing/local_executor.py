"""The local executor: threads of this process that read, decode and embed; processes that decode.

One thread does all the work on a chunk, so that no core waits for another. Further threads read
images at URLs ahead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Generic, TypeVar

from cbir.config import available_cores
from cbir.embedding import Embedder, LazyEmbedder
from cbir.embedding.encoded import decode_each
from cbir.images import DecodedImage, DecodeOptions
from cbir.images.processes import Decoders
from cbir.indexing.executor import EmbedJob
from cbir.indexing.process_chunk import ContentSet, Read, check_chunk, process_chunk
from cbir.indexing.read_ahead import ReadAhead
from cbir.indexing.values import ChunkResult, ImageTask

__all__ = ["EmbeddingThreads", "HeaderExecutor", "LocalExecutor"]

CHUNK = 16
"""Number of images in a chunk: enough for batches, few enough to balance the load."""
GPU_INPUTS = 256
"""Number of network inputs in a chunk for a GPU; fewer do not keep it busy."""

SHORT_TURN_S = 0.0005
"""Seconds after which a thread hands on the interpreter while images are embedded on a GPU. The
usual 5 ms make every read and every hash wait for the thread that compares and counts."""

T = TypeVar("T")
R = TypeVar("R")


class EmbeddingThreads(Generic[T, R]):
    """A thread pool for decoding and embedding, opened with the first chunk.

    On a CPU the embedding threads also decode. With a GPU, it decodes most JPEGs, and processes all
    others: decoding threads share one interpreter, which a photograph of 500 pixels occupies for
    0.5 ms, at most 2,000 images a second on any number of cores. On two cores without a GPU,
    processes are slower by a twentieth.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R]],
        embedder: Embedder,
        *,
        decoders: int | Decoders | None = None,
        regions: int = 0,
        chunk: int = CHUNK,
    ) -> None:
        """`decoders` is the number of decoding processes, or a pool of them.

        None means 0 on a CPU and one per core with a GPU. `regions` of each image are embedded.
        """
        self._work = work
        self._embedder = embedder
        self._inputs = len(embedder.spec.views) * (1 + regions)
        self._count = decoders.count if isinstance(decoders, Decoders) else decoders
        self._decoders = decoders if isinstance(decoders, Decoders) else None
        self._chunk = chunk
        self._threads = 0
        self._turn_s = 0.0
        self._pool: ThreadPoolExecutor | None = None

    def chunk_size(self) -> int:
        return self._chunk if self._on_cpu() else max(self._chunk, GPU_INPUTS // self._inputs)

    def max_pending(self) -> int:
        return 2 * self._threads

    def submit(self, chunk: Sequence[T]) -> Future[Sequence[R]]:
        return self.run(lambda: self._work(chunk))

    def run(self, work: Callable[[], Sequence[R]]) -> Future[Sequence[R]]:
        """As `submit`, for any other work."""
        return self.open().submit(work)

    def open(self) -> ThreadPoolExecutor:
        """Open the network, the decoders and the threads, if they are not open."""
        if self._pool is None:
            self._threads = self._open()
            self._pool = ThreadPoolExecutor(self._threads, "cbir-index")
        return self._pool

    def decode_all(
        self, images: Sequence[bytes], options: DecodeOptions
    ) -> Sequence[DecodedImage | Exception]:
        """Decode images in the calling thread, or in processes."""
        do = decode_each if self._decoders is None else self._decoders.decode_all
        return do(images, options)

    def stop(self, *, interrupted: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if self._turn_s:
            sys.setswitchinterval(self._turn_s)
        if self._decoders is not None:
            self._decoders.close()

    def _open(self) -> int:
        """Open the network and the decoders; returns the number of threads."""
        threads, count = self._embedder.parallelism, self._count
        if count is None:
            count = 0 if self._on_cpu() else available_cores()
        if not self._on_cpu():
            self._turn_s = sys.getswitchinterval()
            sys.setswitchinterval(min(self._turn_s, SHORT_TURN_S))
        if count == 0:
            return threads
        self._decoders = self._decoders or Decoders(count)
        # On a CPU, a thread waits for its decoders while another one embeds.
        return max(threads, count) if self._on_cpu() else threads

    def _on_cpu(self) -> bool:
        return self._embedder.device == "cpu"


class LocalExecutor:
    """The executor that embeds on this machine; may be used for several runs in succession."""

    def __init__(
        self,
        *,
        embedder: Embedder | None = None,
        decoders: int | Decoders | None = None,
        chunk: int = CHUNK,
    ) -> None:
        """`embedder` is opened from the gallery's configuration if none is given.

        `decoders` are as in `EmbeddingThreads`, and `chunk` is the number of images in a chunk.
        """
        self._embedder = embedder
        self._decoders = decoders
        self._chunk = chunk

    def start(self, job: EmbedJob) -> None:
        config = replace(job.config, streams=job.config.streams or available_cores())
        embedder = self._embedder or LazyEmbedder(config.gallery.spec, config.open)
        self._job, self._opened = job, embedder
        self._read_ahead = ReadAhead()
        self._threads: EmbeddingThreads[ImageTask, ChunkResult] = EmbeddingThreads(
            self._process,
            embedder,
            decoders=self._decoders,
            regions=len(config.gallery.regions),
            chunk=self._chunk,
        )

    def chunk_size(self) -> int:
        return self._threads.chunk_size()

    def max_pending(self) -> int:
        return self._threads.max_pending() + self._read_ahead.chunks

    def submit(self, chunk: Sequence[ImageTask]) -> Future[Sequence[ChunkResult]]:
        reads = self._read_ahead.begin(chunk)
        return self._threads.run(lambda: self._process(chunk, reads))

    def stop(self, *, interrupted: bool) -> None:
        self._read_ahead.close(interrupted=interrupted)
        self._threads.stop(interrupted=interrupted)

    def _process(
        self, chunk: Sequence[ImageTask], reads: Sequence[Read] | None = None
    ) -> list[ChunkResult]:
        return process_chunk(
            chunk,
            self._opened,
            self._job.config.decode_options,
            contents=self._job.contents,
            decode_all=self._threads.decode_all,
            reads=reads,
        )


class HeaderExecutor:
    """The executor of a plan: checks the headers of images without decoding or embedding."""

    def __init__(self, contents: ContentSet) -> None:
        self._contents = contents
        self._cores = available_cores()
        self._read_ahead = ReadAhead()
        self._pool = ThreadPoolExecutor(self._cores, "cbir-plan")

    def chunk_size(self) -> int:
        return CHUNK

    def max_pending(self) -> int:
        return 2 * self._cores + self._read_ahead.chunks

    def submit(self, chunk: Sequence[ImageTask]) -> Future[Sequence[ChunkResult]]:
        reads = self._read_ahead.begin(chunk)
        return self._pool.submit(lambda: check_chunk(chunk, contents=self._contents, reads=reads))

    def stop(self, *, interrupted: bool) -> None:
        self._read_ahead.close(interrupted=interrupted)
        self._pool.shutdown(cancel_futures=True)
