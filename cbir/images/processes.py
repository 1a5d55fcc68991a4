"""Decodes images in separate processes: threads of one interpreter cannot keep a GPU busy.

A process that dies fails one image, not the run.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Lock

from cbir.errors import ImageError
from cbir.images.decoding import DecodedImage, DecodeOptions, decode_image
from cbir.images.decoding_process import WORKER, DecodingProcess

__all__ = ["Decoders"]

log = logging.getLogger(__name__)

SLICE = 4
"""Images in a request: few, so that all processes have finished at about the same time; several,
so that a few images do not start all of the processes."""
ATTEMPTS = 2
"""Number of processes that try an image: the first may have died for another reason."""
FAILURES = 3
"""Consecutive failed starts after which threads decode instead."""
DIED = (OSError, EOFError, pickle.UnpicklingError)
"""What a request to a process raises that ends meanwhile."""


class Decoders:
    """A pool of at most `count` decoding processes, which any threads may call."""

    def __init__(self, count: int, *, worker: str = WORKER) -> None:
        """Processes are started when first needed; `worker` is the Python code that they run."""
        self.count = count
        self._worker = worker
        self._turns = BoundedSemaphore(count)
        self._idle: SimpleQueue[DecodingProcess] = SimpleQueue()
        self._failures = 0
        self._lock = Lock()
        self._threads: ThreadPoolExecutor | None = None

    def decode(self, data: bytes, options: DecodeOptions) -> DecodedImage:
        """As `cbir.images.decode_image`, in this process if no other can be started."""
        (result,) = self._decode_slice([data], options)
        if isinstance(result, Exception):
            raise result
        return result

    def decode_all(
        self, images: Sequence[bytes], options: DecodeOptions
    ) -> list[DecodedImage | Exception]:
        """Decode images by all processes at once; the results are in the order of the images."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.count, "cbir-decode")
        slices = [images[start : start + SLICE] for start in range(0, len(images), SLICE)]
        results = self._threads.map(lambda part: self._decode_slice(part, options), slices)
        return [result for part in results for result in part]

    def close(self) -> None:
        """End the processes; no call may be in progress."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        idle = []
        with suppress(Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for process in idle:
            process.hang_up()
        for process in idle:
            process.end()

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode_slice(
        self, images: Sequence[bytes], options: DecodeOptions
    ) -> Sequence[DecodedImage | Exception]:
        """Decode a few images by one process; each by itself where the process dies."""
        with self._turns:
            for attempt in range(ATTEMPTS):
                process = self._take()
                if process is None and attempt == 0:
                    return [_decode_here(data, options) for data in images]
                if process is None:  # not in this process: the image may kill it, too
                    break
                try:
                    results = process.decode(images, options)
                except DIED:
                    process.end(at_once=True)
                    if len(images) > 1:
                        break
                    continue
                except BaseException:  # interrupted: the next image would get this response
                    process.end(at_once=True)
                    raise
                self._idle.put(process)
                return results
        if len(images) > 1:
            return [result for data in images for result in self._decode_slice([data], options)]
        return [ImageError("the decoding process died, probably on this image")]

    def _take(self) -> DecodingProcess | None:
        """An idle process, or a new one; None if none can be started."""
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        if self._failures < FAILURES:
            try:
                process = DecodingProcess(self._worker)
            except DIED as error:
                self._failures += 1
                if self._failures == FAILURES:
                    log.warning("no process for decoding can be started: %s", error)
            else:
                self._failures = 0
                return process
        return None


def _decode_here(data: bytes, options: DecodeOptions) -> DecodedImage | Exception:
    try:
        return decode_image(data, options)
    except Exception as error:  # whatever a file does to a decoder, it fails alone
        return error
