"""Decodes images in separate processes: threads of one interpreter cannot keep a GPU busy.

Each process runs this module, receives one image at a time over a pipe and sends its pixels back.
It imports nothing of the caller's program, so that a script needs no main guard, and it exits when
its caller has ended for any reason. A process that dies fails one image, not the run.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore
from typing import IO, Any

import numpy as np

from cbir.errors import ImageError
from cbir.images.decoding import DecodedImage, DecodeOptions, decode_image

__all__ = ["Decode", "Decoders", "main"]

log = logging.getLogger(__name__)

PIPE_BYTES = 1 << 18
"""Size of a pipe: holds a whole image, so that neither side waits halfway. Linux allows a user 64
MB of pipes in total; beyond that, and on other systems, a pipe has its default size."""
ATTEMPTS = 2
"""Number of processes that try an image: the first may have died for another reason."""
FAILURES = 3
"""Consecutive failed starts after which threads decode instead."""
EXIT_TIMEOUT_S = 5.0
"""Seconds that a process has to exit before it is killed."""
READY = "ready"
WORKER = """
import signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if hasattr(signal, name):  # the parent process handles them, and closes the pipe
        signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.path[:] = {path!r}
from cbir.images.processes import main
main()
"""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of the processes. Importing numpy starts a thread per core; decoding needs none."""


Decode = Callable[[bytes, DecodeOptions], DecodedImage]
"""`cbir.images.decode_image`, or a function that does the same in another process."""


class Decoders:
    """A pool of at most `count` decoding processes, which any threads may call."""

    def __init__(self, count: int, *, worker: str = WORKER) -> None:
        """Processes are started when first needed; `worker` is the Python code that they run."""
        self.count = count
        self._worker = worker
        self._turns = BoundedSemaphore(count)
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._failures = 0

    def decode(self, data: bytes, options: DecodeOptions) -> DecodedImage:
        """As `cbir.images.decode_image`, in this process if no other can be started."""
        request = (data, options)
        with self._turns:
            for attempt in range(ATTEMPTS):
                process = self._take()
                if process is None and attempt == 0:
                    return decode_image(*request)
                if process is None:  # not in this process: the image may kill it, too
                    break
                try:
                    response = process.decode(request)
                except (OSError, EOFError, pickle.UnpicklingError):
                    process.end(at_once=True)
                    continue
                except BaseException:  # interrupted: the next image would get this response
                    process.end(at_once=True)
                    raise
                self._idle.put(process)
                if isinstance(response, Exception):
                    raise response
                return response
        raise ImageError("the decoding process died, probably on this image")

    def close(self) -> None:
        """End the processes; no call may be in progress."""
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

    def _take(self) -> _Process | None:
        """An idle process, or a new one; None if none can be started."""
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        if self._failures < FAILURES:
            try:
                process = _Process(self._worker)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self._failures += 1
                if self._failures == FAILURES:
                    log.warning("no process for decoding can be started: %s", error)
            else:
                self._failures = 0
                return process
        return None


class _Process:
    """One decoding process and its two pipes. Used by one thread at a time."""

    def __init__(self, worker: str) -> None:
        """Start it and wait until it is ready. Raises OSError, or EOFError if it ends before."""
        if not sys.executable:
            raise OSError("the path of the Python interpreter is unknown (sys.executable)")
        self._popen = subprocess.Popen(
            [sys.executable, "-c", worker.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._requests, self._responses = self._popen.stdin, self._popen.stdout
        for pipe in (self._requests, self._responses):
            _widen(pipe)
        try:
            if _receive(self._responses) != READY:
                raise EOFError("the process does not respond")
        except BaseException:
            self.end(at_once=True)
            raise

    def decode(self, request: tuple[Any, ...]) -> DecodedImage | Exception:
        """Have one image decoded. Raises OSError or EOFError if the process ends meanwhile."""
        _send(self._requests, request)
        response = _receive(self._responses)
        if isinstance(response, Exception):
            return response
        shape, width, height, remarks = response
        pixels = np.empty(shape, np.uint8)
        left = memoryview(pixels.data).cast("B")
        while left:
            if not (count := self._responses.readinto(left)):  # type: ignore[attr-defined]
                raise EOFError
            left = left[count:]
        return DecodedImage(pixels, width, height, remarks)

    def hang_up(self) -> None:
        """Close the pipes, which makes the process exit."""
        for pipe in (self._requests, self._responses):
            with suppress(OSError):  # from flushing data to a dead process
                pipe.close()

    def end(self, *, at_once: bool = False) -> None:
        """Wait until the process exits, or kill it."""
        if at_once:
            self._popen.kill()
        self.hang_up()
        try:
            self._popen.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def main() -> None:
    """Decode the images that arrive on standard input until it is closed."""
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output that a library prints must not mix with the responses
    _send(responses, READY)
    while True:
        try:
            request = _receive(requests)
        except EOFError:
            return
        try:
            decoded = decode_image(*request)
        except Exception as error:
            _send(responses, error)
        else:
            head = decoded.pixels.shape, decoded.width, decoded.height, decoded.remarks
            _send(responses, head, decoded.pixels)


def _widen(pipe: IO[bytes]) -> None:
    with suppress(ImportError, AttributeError, OSError):  # the pipe then keeps its default size
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _send(pipe: IO[bytes], message: object, pixels: Any = None) -> None:
    pickle.dump(message, pipe, protocol=5)
    if pixels is not None:
        pipe.write(pixels.data.cast("B"))
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """The next message. Raises EOFError at the end of the pipe."""
    return pickle.load(pipe)  # from a process that this one has started
