"""Compiling in the background: when it begins, what is kept, and what happens if it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cbir.embedding import resolve_spec
from cbir.embedding.pytorch import compiled
from cbir.embedding.pytorch.compiled import CompileJob, Compiler, open_network

MARKS = """
import pickle, sys
sys.path[:] = {path!r}
job = pickle.load(sys.stdin.buffer)
job.mark.parent.mkdir(parents=True, exist_ok=True)
job.mark.touch()
"""
FAILS = "import sys; sys.exit('no compiler here')"


@pytest.fixture
def job(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CompileJob:
    """A small network on the CPU, for a compiler that only traces."""
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "cache"))
    path = checkpoint("resnet18")
    spec, _ = resolve_spec("resnet18", weights=str(path), input_size=64)
    return CompileJob(spec, path, "cpu", "fp32", 4, backend="eager")


def test_a_long_run_compiles_in_the_background(job: CompileJob) -> None:
    network = open_network(job)
    compiler = Compiler(job, network, after=10, worker=MARKS)
    assert compiler.network(4) is compiler.network(4) is None
    assert not job.mark.exists()
    assert compiler.network(4) is None  # the twelfth image starts it
    assert compiler.wait()
    assert job.mark.exists()
    run = compiler.network(3)
    assert run is not None
    assert compiler.network(2) is None  # less than half of a batch runs as it is
    images = job.images()
    with torch.inference_mode():
        torch.testing.assert_close(run(images[:3]), network(images[:3]), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(run(images), network(images), rtol=1e-4, atol=1e-5)


def test_a_later_run_opens_it_sooner(job: CompileJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "OPEN_AFTER", 4)
    job.mark.parent.mkdir(parents=True)
    job.mark.touch()
    compiler = Compiler(job, open_network(job), worker=FAILS)
    assert compiler.network(1) is None  # a query opens nothing
    assert compiler._thread is None
    compiler.network(4)
    assert compiler._thread is not None
    assert compiler.wait()


def test_where_it_fails_the_network_runs_as_it_is(
    job: CompileJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    compiler = Compiler(job, open_network(job), after=1, worker=FAILS)
    assert not compiler.wait()
    assert compiler.network(4) is None
    assert "resnet18 is not compiled: no compiler here" in caplog.text


def test_a_compiled_network_that_differs_is_not_used(
    job: CompileJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    network = open_network(job)
    calls = []

    def unstable(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        vectors: torch.Tensor = network(images)
        return vectors * (2 if len(calls) > 1 else 1)

    job.mark.parent.mkdir(parents=True)
    job.mark.touch()
    compiler = Compiler(job, unstable, after=1, worker=FAILS)
    assert not compiler.wait()
    assert "its vectors differ from the network's" in caplog.text
    assert not job.mark.exists()


def test_the_mark_names_network_precision_batch_and_machine(job: CompileJob) -> None:
    from dataclasses import replace

    marks = {
        job.mark,
        replace(job, precision="fp16").mark,
        replace(job, batch=8).mark,
        replace(job, backend="inductor").mark,
        replace(job, spec=replace(job.spec, pooling="gem")).mark,
    }
    assert len(marks) == 5
