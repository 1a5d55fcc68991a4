"""A process that decodes images for its parent, through memory that both share.

The process runs this module. Small messages pass over two pipes; encoded images and pixels lie in a
file that both map into memory, without a copy in the kernel. The process imports nothing of its
caller's program, so that a script needs no main guard, and exits when its caller has ended for any
reason.
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

import numpy as np

from cbir.images.decoding import DecodedImage, DecodeOptions, decode_image

__all__ = ["WORKER", "DecodingProcess", "main"]

EXIT_TIMEOUT_S = 5.0
"""Seconds that a process has to exit before it is killed."""
SPARE_BYTES = 1 << 22
"""Memory mapped beyond what a request needs, so that few requests map more."""
READY = "ready"
WORKER = """
import signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if hasattr(signal, name):  # the parent process handles them, and closes the pipe
        signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.path[:] = {path!r}
from cbir.images.decoding_process import main
main({memory!r})
"""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of the process. Importing numpy starts a thread per core; decoding needs none."""


class DecodingProcess:
    """One decoding process. Used by one thread at a time."""

    def __init__(self, worker: str = WORKER) -> None:
        """Start it and wait until it is ready. Raises OSError, or EOFError if it ends before."""
        if not sys.executable:
            raise OSError("the path of the Python interpreter is unknown (sys.executable)")
        self._memory = _SharedMemory()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-c", worker.format(path=sys.path, memory=self._memory.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **ONE_THREAD},
                pass_fds=self._memory.descriptors,
            )
        except BaseException:
            self._memory.close()
            raise
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._requests, self._responses = self._popen.stdin, self._popen.stdout
        try:
            if _receive(self._responses) != READY:
                raise EOFError("the process does not respond")
        except BaseException:
            self.end(at_once=True)
            raise
        self._memory.forget_path()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs."""
        return self._popen.poll()

    def decode(
        self, images: Sequence[bytes], options: DecodeOptions
    ) -> list[DecodedImage | Exception]:
        """Have images decoded. Raises OSError or EOFError if the process ends meanwhile.

        An error that concerns all of them is raised, too.
        """
        side = options.preprocessing.crop
        shape = (1 + len(options.regions), len(options.views), side, side, 3)
        sizes = [len(data) for data in images]
        size = sum(sizes) + len(images) * int(np.prod(shape))
        memory = self._memory.map(size)
        end = 0
        for data in images:
            memory[end : end + len(data)] = data
            end += len(data)
        _send(self._requests, (size, sizes, options))
        response = _receive(self._responses)
        if isinstance(response, Exception):
            raise response
        pixels = np.frombuffer(memory, np.uint8, len(images) * int(np.prod(shape)), end)
        return [
            result if isinstance(result, Exception) else replace(result, pixels=square.copy())
            for result, square in zip(response, pixels.reshape(-1, *shape), strict=True)
        ]

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
        self._memory.close()


class _SharedMemory:
    """A file without a name that two processes map; it grows."""

    def __init__(self, path: str | None = None) -> None:
        """A new one, or the one at `path`. Raises OSError."""
        self._map: mmap.mmap | None = None
        self.descriptors: tuple[int, ...] = ()
        """What another process has to inherit to open `path`."""
        if path is not None:
            self._file = os.open(path, os.O_RDWR)
        elif hasattr(os, "memfd_create"):  # Linux: memory, not a disk
            self._file = os.memfd_create("cbir-decode")
            path, self.descriptors = f"/proc/self/fd/{self._file}", (self._file,)
        else:
            self._file, path = mkstemp(prefix="cbir-decode-")
        self.path = path

    def map(self, size: int) -> mmap.mmap:
        """At least `size` bytes. Raises OSError without space for them."""
        if self._map is None or len(self._map) < size:
            if self._map is not None:
                self._map.close()
                self._map = None
            if os.fstat(self._file).st_size < size:
                os.ftruncate(self._file, size + SPARE_BYTES)
            self._map = mmap.mmap(self._file, os.fstat(self._file).st_size)
        return self._map

    def forget_path(self) -> None:
        """Delete the file's name, where it has one; both have opened it."""
        if not self.path.startswith("/proc/"):
            with suppress(OSError):  # Windows keeps the names of open files
                Path(self.path).unlink()

    def close(self) -> None:
        if self._map is not None:
            with suppress(BufferError):  # an exception's traceback may still refer to pixels
                self._map.close()
        os.close(self._file)
        self.forget_path()


def main(path: str) -> None:
    """Decode the images that lie in the shared memory at `path`, until standard input ends."""
    requests, responses = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output that a library prints must not mix with the responses
    shared = _SharedMemory(path)
    _send(responses, READY)
    while True:
        try:
            size, sizes, options = _receive(requests)
        except EOFError:
            return
        try:
            response: object = _decode(shared.map(size), sizes, options)
        except Exception as error:
            response = error
        _send(responses, response)


def _decode(
    memory: mmap.mmap, sizes: Sequence[int], options: DecodeOptions
) -> list[DecodedImage | Exception]:
    """Decode images into the memory behind them; the results' own pixels are empty."""
    results: list[DecodedImage | Exception] = []
    start, place = 0, sum(sizes)
    nothing = np.empty(0, np.uint8)
    for size in sizes:
        data = memory[start : start + size]
        start += size
        try:
            image = decode_image(data, options)
        except Exception as error:  # whatever a file does to a decoder, it fails alone
            results.append(_portable(error))
        else:
            memory[place : place + image.pixels.nbytes] = image.pixels.tobytes()
            results.append(replace(image, pixels=nothing))
        side = options.preprocessing.crop
        place += (1 + len(options.regions)) * len(options.views) * side * side * 3
    return results


def _portable(error: Exception) -> Exception:
    """The error if it can be pickled; otherwise one with its type and text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(pipe: IO[bytes], message: object) -> None:
    pickle.dump(message, pipe, protocol=5)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """The next message. Raises EOFError at the end of the pipe."""
    return pickle.load(pipe)  # from a process that this one has started
