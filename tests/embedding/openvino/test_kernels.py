"""Which kernels run an exported network on this processor; never what it computes."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbir.embedding import (
    Embedder,
    load_embedder,
    resolve_spec,
)
from cbir.embedding.openvino import kernels
from cbir.embedding.openvino.annotations import prefer_kernels
from cbir.embedding.openvino.compiling import compile_network
from cbir.embedding.openvino.export import exported_network
from cbir.embedding.openvino.importing import import_openvino
from cbir.embedding.openvino.int8 import quantise_network, quantised_network
from cbir.embedding.openvino.kernels import tune_network, tuned_network
from cbir.embedding.openvino.processor import kernel_family

MARK = "primitives_priority"


def plain_network(embedder: Embedder) -> Path:
    """The network as it was exported: for every processor."""
    found = exported_network(embedder.spec)
    assert found is not None
    return found


@pytest.fixture
def network(lite0: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the default backbone's network, in a cache of its own; not tuned yet."""
    found = plain_network(lite0)
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "cache"))
    own = tmp_path / "cache" / "networks" / found.parent.name
    shutil.copytree(found.parent, own, ignore=shutil.ignore_patterns("compiled"))
    assert exported_network(lite0.spec) == own / "network.xml"
    return own / "network.xml"


def timed(monkeypatch: pytest.MonkeyPatch, usual: float, blocked: float) -> None:
    """An AVX2 processor, and how long both ways take on it."""
    monkeypatch.setattr(kernels, "kernel_family", lambda: "avx2")
    monkeypatch.setattr(kernels, "_times", lambda *_: [usual, blocked])


def test_the_faster_kernels_are_taken_and_compute_the_same(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 1.0, 0.8)
    before, name = network.read_bytes(), network.parent.name
    tuned = tune_network(name, network)
    assert tuned_network(name) == tuned
    assert tuned.read_text().count(MARK) == 49  # 16 depthwise convolutions, 33 others
    assert {path.name for path in tuned.parent.iterdir()} == {
        "network.bin", "network.xml", "export.json"
    }  # fmt: skip
    assert network.read_bytes() == before
    core = import_openvino().Core()
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    found, expected = (
        compile_network(core, path, "fp32")([images])[0] for path in (tuned, network)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("blocked", [0.99, 2.4])
def test_kernels_that_are_no_faster_are_not_taken(
    network: Path, monkeypatch: pytest.MonkeyPatch, blocked: float
) -> None:
    timed(monkeypatch, 1.0, blocked)
    tuned = tune_network(network.parent.name, network)
    assert tuned.read_bytes() == network.read_bytes()
    assert tuned_network(network.parent.name) == tuned


def test_other_processors_run_the_network_as_it_was_exported(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "kernel_family", lambda: "")
    assert tuned_network(network.parent.name) == network
    assert tune_network(network.parent.name, network) == network


@pytest.mark.parametrize("trouble", ["OpenVINO", "the disk"])
def test_what_cannot_be_tuned_runs_as_it_is(
    network: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    def fail(*_: object) -> list[float]:
        raise RuntimeError("no such kernel") if trouble == "OpenVINO" else OSError(28, "disk full")

    caplog.set_level(logging.WARNING)
    timed(monkeypatch, 1.0, 0.8)
    monkeypatch.setattr(kernels, "_times", fail)
    assert tune_network(network.parent.name, network) == network
    assert "runs untuned" in caplog.text
    assert list(network.parent.parent.iterdir()) == [network.parent]


def test_a_network_that_was_exported_before_is_tuned_without_torch(
    network: Path, lite0: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 1.0, 0.8)
    monkeypatch.setattr(
        "cbir.embedding.openvino.export.export_network", lambda *_: pytest.fail("exported again")
    )
    load_embedder(lite0.spec, device="cpu", precision="fp32")
    assert tuned_network(network.parent.name) is not None


def test_an_int8_network_has_no_marks_that_were_measured_in_fp32(
    network: Path, lite0: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf", reason="pip install 'cbir[int8]'")
    timed(monkeypatch, 1.0, 0.8)
    load_embedder(lite0.spec, device="cpu", precision="fp32")
    images = np.random.default_rng(0).integers(0, 256, (32, 224, 224, 3), np.uint8)
    calibration = quantise_network(lite0.spec, network, list(images), min_cosine=-1.0)
    made = quantised_network(lite0.spec, calibration)
    assert made is not None
    assert MARK not in made.read_text()


@pytest.mark.parametrize("name", ["resnet18", "regnet_y_400mf"])
def test_networks_without_depthwise_convolutions_are_left_alone(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    timed(monkeypatch, 1.0, 0.1)
    path = checkpoint(name)
    spec, origin = resolve_spec(name, weights=str(path))
    load_embedder(spec, weights_from=origin, device="cpu")
    found = tuned_network(spec.network_fingerprint)
    assert found is not None
    assert found != exported_network(spec)
    assert MARK not in found.read_text()


@pytest.mark.skipif(kernel_family() != "avx2", reason="this processor has other kernels")
def test_openvino_heeds_the_marks(network: Path) -> None:
    def used() -> set[str]:
        compiled = compile_network(import_openvino().Core(), network, "fp32")
        compiled([np.zeros((1, 224, 224, 3), np.uint8)])
        ops: list[Any] = compiled.get_runtime_model().get_ops()
        said = {str(op.get_rt_info()["primitiveType"].value) for op in ops}
        return {one for one in said if "_dw_" in one or "_1x1_" in one}

    assert used() == {"brgconv_avx2_dw_f32", "brgconv_avx2_1x1_f32"}
    prefer_kernels(network, kernels.BLOCKED)
    assert used() == {"jit_avx2_dw_f32", "jit_avx2_1x1_f32"}


def test_times_are_in_the_order_of_the_networks(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[object] = []

    def taken(request: object, _: object) -> float:
        turns.append(request)
        return 1.0 if len(turns) % 2 else 2.0

    monkeypatch.setattr(kernels, "_timed", taken)
    assert kernels._times([network, network], network.with_suffix(".bin")) == [1.0, 2.0]
    assert len(set(map(id, turns))) == 2
