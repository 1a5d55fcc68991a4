"""Networks compiled for full batches on a GPU, in the background and once per machine.

torch's compiler fuses a network's kernels, which doubles the rate of a ResNet-50 on an H200. It
takes 15 to 40 seconds, so that only a long run starts it, in a process of its own: the compiler
would keep the interpreter from this one's threads. That process fills the compiler's cache on disk,
from which this one, and every later run, opens the kernels in a few seconds:

    <cache>/compiled/<network>-<precision>-<batch>-<GPU and torch>.done     compiled on this machine
                     kernels/                                               the compiler's own cache
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from cbir.config import EmbeddingSpec, cache_dir
from cbir.embedding.pytorch.batch_norm import fold_batch_norms
from cbir.embedding.pytorch.cuda_graphs import GraphedNetwork
from cbir.embedding.pytorch.network import EmbeddingNetwork, build_network

__all__ = ["DTYPES", "CompileJob", "Compiler", "main", "open_network"]

log = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
COMPILE_AFTER = 20_000
"""Number of images embedded by a process after which compiling pays: it takes as long as they do"""
OPEN_AFTER = 4_000
"""The same for opening kernels that were compiled before, which takes a few seconds."""
TOLERANCE = 0.02
"""Largest error of a compiled network's vectors, relative to their length: a cosine of 0.9998."""
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Environment variable that names the folder of the compiler's cache."""
_WORKER = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends it
sys.path[:] = {path!r}
from cbir.embedding.pytorch.compiled import main
main()
"""

Network: TypeAlias = "Callable[[Tensor], Tensor]"
"""uint8 (N, side, side, 3) → float32 (N, D), not yet of unit length."""


@dataclass(frozen=True, slots=True)
class CompileJob:
    """A network to compile; can be pickled."""

    spec: EmbeddingSpec
    checkpoint: Path
    device: str
    precision: str
    batch: int
    backend: str = "inductor"
    """One of `torch.compiler.list_backends()`."""

    @property
    def mark(self) -> Path:
        """The file that says that the compiler's cache has this network."""
        build = torch.__version__, torch.version.cuda, self._machine(), self.backend
        digest = hashlib.sha256(repr(build).encode()).hexdigest()[:12]
        name = f"{self.spec.network_fingerprint}-{self.precision}-{self.batch}-{digest}.done"
        return cache_dir() / "compiled" / name

    def images(self) -> Tensor:
        """Random images: a full batch on the device."""
        side = self.spec.preprocessing.crop
        pixels = torch.randint(0, 256, (self.batch, side, side, 3), dtype=torch.uint8)
        return pixels.to(self.device)

    def _machine(self) -> str:
        device = torch.device(self.device)
        if device.type != "cuda":
            return torch.backends.cpu.get_cpu_capability()
        return torch.cuda.get_device_name(device)


def open_network(job: CompileJob) -> EmbeddingNetwork:
    """The network of a job on its device, with batch normalisation folded."""
    network = build_network(job.spec, job.checkpoint)
    network.body = fold_batch_norms(network.body)
    network.compute_in(DTYPES[job.precision])
    return network.to(torch.device(job.device)).to(memory_format=torch.channels_last)


class Compiler:
    """Counts the images of a network, and compiles it in the background when they are many."""

    def __init__(
        self,
        job: CompileJob,
        network: Network,
        *,
        after: int | None = None,
        worker: str = _WORKER,
    ) -> None:
        """`network` is that of the job; `worker` is the Python code that fills the cache."""
        self._job = job
        self._plain = network
        self._worker = worker
        self._after = after or (OPEN_AFTER if job.mark.exists() else COMPILE_AFTER)
        self._images = 0
        self._network: Network | None = None
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def network(self, count: int) -> Network | None:
        """The compiled network for a batch of `count` images; None where it is not to be used."""
        self._images += count
        if not self._job.batch // 2 < count <= self._job.batch:
            return None
        if self._thread is None and self._images >= self._after:
            self._begin()
        return self._network

    def wait(self) -> bool:
        """Compile now, if it has not been done; returns whether there is a compiled network."""
        self._begin().join()
        return self._network is not None

    def stop(self) -> None:
        """End the compiling process, if it is still at work."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _begin(self) -> threading.Thread:
        if self._thread is None:
            self._thread = threading.Thread(target=self._prepare, name="cbir-compile", daemon=True)
            self._thread.start()
        return self._thread

    def _prepare(self) -> None:
        try:
            if not self._job.mark.exists():
                self._fill_cache()
            network = _compiled(self._job, self._plain)
            device = torch.device(self._job.device)
            # A recording starts all kernels at once, without the interpreter.
            self._network = GraphedNetwork(network, device) if device.type == "cuda" else network
        except Exception as error:  # the compiler raises almost anything
            self._job.mark.unlink(missing_ok=True)
            log.info("%s is not compiled: %s", self._job.spec.backbone, _short(error))

    def _fill_cache(self) -> None:
        """Run `main` in a process of its own. Raises RuntimeError, OSError."""
        log.info("compiling %s for %s", self._job.spec.backbone, self._job.device)
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._worker.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, errors = self._process.communicate(pickle.dumps(self._job))
        if self._process.returncode != 0:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise RuntimeError(lines[-1] if lines else f"it ended with {self._process.returncode}")


def _compiled(job: CompileJob, plain: Network) -> Network:
    """A compiled network that pads its batches, compared with the plain one. Raises RuntimeError.

    The kernels are compiled, or loaded from the cache, before it returns.
    """
    os.environ.setdefault(CACHE_VARIABLE, str(cache_dir() / "compiled" / "kernels"))
    run: Network = torch.compile(plain, dynamic=False, fullgraph=True, backend=job.backend)
    images = job.images()
    with torch.inference_mode():
        vectors, expected = run(images), plain(images)
    error = (vectors - expected).norm(dim=1)
    if not bool((error <= TOLERANCE * expected.norm(dim=1) + 1e-6).all()):
        raise RuntimeError("its vectors differ from the network's")

    def network(batch: Tensor) -> Tensor:
        count = len(batch)
        if count < job.batch:
            padded = batch.new_zeros((job.batch, *batch.shape[1:]))
            padded[:count] = batch
            batch = padded
        # cuDNN tries its kernels for the few convolutions of this one shape; it takes a second.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            return run(batch)[:count]

    return network


def main() -> None:
    """Compile the network of the pickled job on standard input, into the cache on disk."""
    job: CompileJob = pickle.load(sys.stdin.buffer)  # from the process that has started this one
    _compiled(job, open_network(job))
    job.mark.parent.mkdir(parents=True, exist_ok=True)
    job.mark.touch()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
