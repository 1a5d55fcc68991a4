"""Processes that decode images: threads share one interpreter, and before a GPU that is too few.

A worker is this module run by itself. It is sent one image at a time and answers with pixels, over
its pipes. It imports nothing of the caller's program, so that a script needs no main guard, and it
ends by itself when the caller is gone, however that came about. A decoder that dies takes one
image with it and not the run.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore
from types import TracebackType
from typing import IO, Any, Protocol

import numpy as np

from cbir.config import Preprocessing, Region, View
from cbir.errors import ImageError
from cbir.images.decoding import DecodedImage, decode_regions

__all__ = ["Decode", "Decoders", "main"]

log = logging.getLogger(__name__)

PIPE_BYTES = 1 << 18
"""Room for an image in a pipe, so that nobody waits half-way through. Linux gives a user 64 MB of
them in all; beyond, and elsewhere, a pipe keeps its usual 64 kB."""
ATTEMPTS = 2
"""A decoder may have been ended for another reason than the image it was at."""
FAILURES = 3
"""So often in succession no process could be started: then threads decode."""
PATIENCE_S = 5.0
READY = "ready"
WORKER = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started it
sys.path[:] = {path!r}
from cbir.images.processes import main
main()
"""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Importing numpy starts a thread per core: too many, by as many processes, and not needed."""


class Decode(Protocol):
    """`cbir.images.decode_regions`, or what does the same elsewhere."""

    def __call__(
        self, data: bytes, preprocessing: Preprocessing, views: Sequence[View],
        regions: Sequence[Region],
    ) -> DecodedImage: ...  # fmt: skip


class Decoders:
    """At most `count` processes that decode; as many calls run at once, from any threads."""

    def __init__(self, count: int) -> None:
        """Processes are started when they are first needed."""
        self._turns = BoundedSemaphore(count)
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._failures = 0

    def decode(
        self, data: bytes, preprocessing: Preprocessing, views: Sequence[View],
        regions: Sequence[Region],
    ) -> DecodedImage:  # fmt: skip
        """As `cbir.images.decode_regions`, which runs here if no process can be started."""
        request = (data, preprocessing, views, regions)
        with self._turns:
            for attempt in range(ATTEMPTS):
                process = self._take()
                if process is None and attempt == 0:
                    return decode_regions(*request)
                if process is None:  # never here, where it would be the end of the run
                    break
                try:
                    answer = process.ask(request)
                except (OSError, EOFError, pickle.UnpicklingError):
                    process.end(at_once=True)
                    continue
                except BaseException:  # what it answers is not known now
                    process.end(at_once=True)
                    raise
                self._idle.put(process)
                if isinstance(answer, Exception):
                    raise answer
                return answer
        raise ImageError("the process that decoded it died, probably of it")

    def close(self) -> None:
        """End the processes; no call may be under way."""
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

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> _Process | None:
        """An idle process, or a new one; None where none can be had."""
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        if self._failures < FAILURES:
            try:
                process = _Process()
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self._failures += 1
                if self._failures == FAILURES:
                    log.warning("no process for decoding can be started: %s", error)
            else:
                self._failures = 0
                return process
        return None


class _Process:
    """One worker and its two pipes. Used by one thread at a time."""

    def __init__(self) -> None:
        """Waits until it is ready. Raises OSError, or EOFError if it ends before."""
        if not sys.executable:
            raise OSError("this program does not know its Python interpreter")
        self._popen = subprocess.Popen(
            [sys.executable, "-c", WORKER.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._requests, self._answers = self._popen.stdin, self._popen.stdout
        for pipe in (self._requests, self._answers):
            _widen(pipe)
        try:
            if _receive(self._answers) != READY:
                raise EOFError("it does not answer")
        except BaseException:
            self.end(at_once=True)
            raise

    def ask(self, request: tuple[Any, ...]) -> DecodedImage | Exception:
        """Raises OSError or EOFError if the process ends meanwhile."""
        _send(self._requests, request)
        answer = _receive(self._answers)
        if isinstance(answer, Exception):
            return answer
        shape, width, height = answer
        pixels = np.empty(shape, np.uint8)
        left = memoryview(pixels.data).cast("B")
        while left:
            if not (count := self._answers.readinto(left)):  # type: ignore[attr-defined]
                raise EOFError
            left = left[count:]
        return DecodedImage(pixels, width, height)

    def hang_up(self) -> None:
        """Tell it that nothing more will come."""
        for pipe in (self._requests, self._answers):
            with suppress(OSError):  # of what was not yet sent to a dead process
                pipe.close()

    def end(self, *, at_once: bool = False) -> None:
        if at_once:
            self._popen.kill()
        self.hang_up()
        try:
            self._popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def main() -> None:
    """A worker: decodes what comes in on standard input until that ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library may print gets between the answers
    _send(answers, READY)
    while True:
        try:
            request = _receive(requests)
        except EOFError:
            return
        try:
            decoded = decode_regions(*request)
        except Exception as error:
            _send(answers, error)
        else:
            head = decoded.pixels.shape, decoded.width, decoded.height
            _send(answers, head, decoded.pixels)


def _widen(pipe: IO[bytes]) -> None:
    with suppress(ImportError, AttributeError, OSError):  # as it is, then
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _send(pipe: IO[bytes], message: object, pixels: Any = None) -> None:
    pickle.dump(message, pipe, protocol=5)
    if pixels is not None:
        pipe.write(pixels.data.cast("B"))
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """The next message. Raises EOFError at the end of the pipe."""
    return pickle.load(pipe)  # it comes from a process that this one has started
