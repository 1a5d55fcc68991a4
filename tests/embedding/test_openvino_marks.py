"""Marks that decide in which kernels an exported network runs; never what it computes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbir.embedding import Embedder, load_embedder, openvino_marks, resolve_spec
from cbir.embedding.openvino_export import exported_network
from cbir.embedding.openvino_import import import_openvino
from cbir.embedding.openvino_marks import choose_kernels, processor_kind

MARK = "primitives_priority"


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("flags : fpu avx avx2 bmi1", "avx2"),
        ("flags : fpu avx avx2 avx512f avx512_bf16", ""),
        ("flags : fpu sse4_2 avx", ""),
        ("Features : fp asimd bf16 sve", ""),
    ],
)
def test_a_processor_with_avx2_alone_is_a_kind_of_its_own(
    monkeypatch: pytest.MonkeyPatch, flags: str, kind: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _: flags)
    assert processor_kind() == kind


def test_a_processor_that_says_nothing_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert processor_kind() == ""


def test_each_kind_of_processor_keeps_its_own_networks(
    lite0: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = exported_network(lite0.spec)
    other = "" if processor_kind() else "avx2"
    monkeypatch.setattr("cbir.embedding.openvino_cache.processor_kind", lambda: other)
    assert own is not None
    assert exported_network(lite0.spec) is None


@pytest.fixture
def network(lite0: Embedder, tmp_path: Path) -> Path:
    """A copy of the default backbone's network without any mark for its kernels."""
    found = exported_network(lite0.spec)
    assert found is not None
    own = tmp_path / "copy"
    own.mkdir()
    for name in ("network.xml", "network.bin"):
        shutil.copyfile(found.with_name(name), own / name)
    lines = (own / "network.xml").read_text().split(f'<attribute name="{MARK}"')
    bare = [lines[0], *(rest.split("/>", 1)[1] for rest in lines[1:])]
    (own / "network.xml").write_text("".join(bare))
    return own / "network.xml"


def timed(monkeypatch: pytest.MonkeyPatch, usual: float, blocked: float) -> None:
    monkeypatch.setattr(openvino_marks, "processor_kind", lambda: "avx2")
    monkeypatch.setattr(openvino_marks, "_times", lambda _: [usual, blocked])


def test_the_faster_kernels_are_taken_and_compute_the_same(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = import_openvino().Core()
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    before = core.compile_model(network, "CPU")([images])[0].copy()
    timed(monkeypatch, 1.0, 0.8)
    choose_kernels(network)
    assert network.read_text().count(MARK) == 49  # 16 depthwise convolutions, 33 others
    assert sorted(path.name for path in network.parent.iterdir()) == ["network.bin", "network.xml"]
    after = core.compile_model(network, "CPU")([images])[0]
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize("blocked", [0.99, 2.4])
def test_kernels_that_are_no_faster_are_not_taken(
    network: Path, monkeypatch: pytest.MonkeyPatch, blocked: float
) -> None:
    before = network.read_bytes()
    timed(monkeypatch, 1.0, blocked)
    choose_kernels(network)
    assert network.read_bytes() == before
    assert sorted(path.name for path in network.parent.iterdir()) == ["network.bin", "network.xml"]


@pytest.mark.parametrize("name", ["resnet18", "regnet_y_400mf"])
def test_networks_without_depthwise_convolutions_are_left_alone(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    timed(monkeypatch, 1.0, 0.1)
    path = checkpoint(name)
    spec, origin = resolve_spec(name, weights=str(path))
    load_embedder(spec, weights_from=origin, device="cpu")
    found = exported_network(spec)
    assert found is not None
    assert MARK not in found.read_text()


@pytest.mark.skipif(processor_kind() != "avx2", reason="this processor has other kernels")
def test_openvino_heeds_the_marks(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kernels() -> set[str]:
        compiled = import_openvino().Core().compile_model(network, "CPU")
        compiled([np.zeros((1, 224, 224, 3), np.uint8)])
        ops: list[Any] = compiled.get_runtime_model().get_ops()
        said = {str(op.get_rt_info()["primitiveType"].value) for op in ops}
        return {one for one in said if "_dw_" in one or "_1x1_" in one}

    assert kernels() == {"brgconv_avx2_dw_f32", "brgconv_avx2_1x1_f32"}
    timed(monkeypatch, 1.0, 0.8)
    choose_kernels(network)
    assert kernels() == {"jit_avx2_dw_f32", "jit_avx2_1x1_f32"}


@pytest.mark.skipif(processor_kind() != "avx2", reason="elsewhere nothing is measured")
def test_what_is_measured_are_seconds_of_both(network: Path) -> None:
    choose_kernels(network)
    usual, same = openvino_marks._times([(network, network.with_suffix(".bin"))] * 2)
    assert 0 < usual < 10
    assert 0 < same < 10
