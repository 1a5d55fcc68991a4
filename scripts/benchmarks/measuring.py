"""Measures seconds, processor time and memory of this process and of others that it starts."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CBIR = [sys.executable, "-c", "from cbir.cli import main; main()"]
"""The command line of cbir, in this environment."""
SOME_UNREADABLE = 3
"""Exit code of commands if some images could not be read."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds on the clock, and of the processor, that a block of this process took."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Times a block; the figures are there when it ends."""
    watch = Stopwatch()
    started, cpu_started = time.perf_counter(), time.process_time()
    yield watch
    watch.seconds = time.perf_counter() - started
    watch.cpu_seconds = time.process_time() - cpu_started


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds on the clock that a call takes."""
    with stopwatch() as watch:
        work()
    return watch.seconds


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """A finished process: its output, its duration, and its peak memory."""

    output: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


def run_process(command: Sequence[Any], *, allowed: Collection[int] = (0,)) -> ProcessRun:
    """Runs a command from its start to its end. Exits with its errors where it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=output, stderr=errors)
        # Of this child alone; getrusage would give the largest of all.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode not in allowed:
            sys.exit(f"{errors.read()}\nexit code {process.returncode}: {shlex.join(words)}")
        return ProcessRun(
            output.read(), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        )


def run_cbir(*arguments: str | Path) -> ProcessRun:
    """A whole command of cbir; images that cannot be read do not stop a benchmark."""
    return run_process([*CBIR, *arguments], allowed=(0, SOME_UNREADABLE))


def call_in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function of this package, called in a fresh process.

    So its memory is its own, and so are its threads. Arguments and result travel as JSON; paths
    become strings.
    """
    target = f"{function.__module__}:{function.__name__}"
    command = [sys.executable, "-m", "scripts.benchmarks.child", target]
    command.append(json.dumps(arguments, default=str))
    run = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=module_environment()
    )
    return last_json(run.stdout)


def module_environment() -> dict[str, str]:
    """The environment in which a child finds this package, wherever it is started."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path}


def last_json(output: str) -> Any:
    """The last line that a process printed."""
    return json.loads(output.splitlines()[-1])


def peak_mb() -> float:
    """Resident memory of this process at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    """Resident memory of this process now; its peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def processor() -> str:
    """The processor and the instructions that decide how fast it is: `… 2 cores, avx2`."""
    from cbir.config import available_cores

    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{available_cores()} cores"
    name = next((x.partition(":")[2].strip() for x in text.splitlines() if "model name" in x), "")
    flags = [f for f in ("avx512_bf16", "avx512_vnni", "avx512f", "avx2") if f in text]
    return f"{name}, {available_cores()} cores, {', '.join(flags[:3])}"
