from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cbir.config import EmbeddingSpec, Preprocessing
from cbir.embedding import Embedder, load_embedder, resolve_spec
from cbir.embedding.openvino import export
from cbir.embedding.openvino.export import export_network, exported_network
from cbir.embedding.openvino.kernels import tuned_network
from cbir.errors import BackboneError, CbirError, SpecMismatchError

NETWORK_USED = """
import os, socket, sys
from pathlib import Path

def refuse(*arguments, **options):
    print("network used:", arguments, file=sys.__stdout__, flush=True)
    os._exit(1)

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import cbir.embedding
spec, _ = cbir.embedding.resolve_spec()
print(cbir.embedding.load_embedder(spec, device="cpu").describe())
assert "torch" in sys.modules, "nothing was converted"
import logging
assert logging.getLogger().level == logging.WARNING, "the converter changed the root logger"
print(sorted(path.name for path in Path.home().iterdir()))
"""


def test_an_export_calls_nobody_and_says_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "CBIR_CACHE_DIR": str(tmp_path / "cache"),
        "PATH": "/usr/bin:/bin",
    }  # no CI variable: those switch telemetry off by themselves
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", NETWORK_USED],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    first, second = run.stdout.splitlines()
    assert first.startswith("openvino ")
    assert "intel" not in second


def test_the_converter_comes_when_it_is_asked_for() -> None:
    code = """
import sys
from cbir.embedding.openvino.importing import import_openvino
openvino = import_openvino()
assert "openvino.tools.ovc" not in sys.modules
assert openvino.convert_model is sys.modules["openvino.tools.ovc"].convert_model
assert import_openvino() is openvino
assert not hasattr(openvino, "something_else")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_second_start_imports_no_torch(lite0: Embedder) -> None:
    code = (
        "import sys, numpy as np, cbir.embedding as e;"
        "lite0 = e.load_embedder(e.resolve_spec()[0], device='cpu', precision='fp32');"
        "lite0.embed([np.zeros((224, 224, 3), np.uint8)]);"
        "print([m for m in ('torch', 'torchvision', 'cv2') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")


@pytest.fixture
def own_cache(
    lite0: Embedder, session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of the session's cache for a test that spoils it; returns lite0's folder."""
    found = exported_network(lite0.spec)
    assert found is not None
    shutil.copytree(session_cache, tmp_path / "cache", copy_function=shutil.copyfile)
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "networks" / found.parent.name


@pytest.mark.parametrize("file", ["network.bin", "network.xml", "export.json"])
@pytest.mark.parametrize("damage", ["missing", "cut short", "altered"])
def test_a_damaged_export_counts_as_none(
    lite0: Embedder, own_cache: Path, file: str, damage: str
) -> None:
    assert exported_network(lite0.spec) == own_cache / "network.xml"
    path = own_cache / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if damage == "cut short":
        path.write_bytes(content[:100])
    elif damage == "altered":
        path.write_bytes(content)
    assert exported_network(lite0.spec) is None


def test_a_damaged_export_is_made_again(lite0: Embedder, own_cache: Path) -> None:
    before = {path.name for path in own_cache.parent.iterdir()}
    for folder in own_cache.parent.iterdir():  # as it was exported, and as this processor runs it
        (folder / "network.bin").write_bytes(b"")
    again = load_embedder(lite0.spec, device="cpu", precision="fp32")
    assert exported_network(lite0.spec) is not None
    assert tuned_network(own_cache.name) is not None
    assert {path.name for path in own_cache.parent.iterdir()} == before
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    np.testing.assert_allclose(again.embed([image]), lite0.embed([image]), atol=1e-5)


def test_a_damaged_compiled_network_is_compiled_again(lite0: Embedder, own_cache: Path) -> None:
    blobs = list(own_cache.parent.glob("*/compiled/*"))
    assert blobs
    for blob in blobs:
        blob.write_bytes(blob.read_bytes()[:1000])
    image = np.zeros((224, 224, 3), np.uint8)
    again = load_embedder(lite0.spec, device="cpu", precision="fp32").embed([image])
    np.testing.assert_allclose(again, lite0.embed([image]), atol=1e-6)


def _export(arguments: tuple[EmbeddingSpec, Path]) -> Path:
    return export_network(*arguments)


def test_processes_that_export_at_once_do_no_harm(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "cache"))
    path = checkpoint("squeezenet1_1")
    spec, _ = resolve_spec("squeezenet1_1", weights=str(path))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(_export, [(spec, path)] * 2))
    assert results == [exported_network(spec)] * 2
    assert list((tmp_path / "cache" / "networks").iterdir()) == [results[0].parent]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "file"))
    path = checkpoint("squeezenet1_1")
    spec, _ = resolve_spec("squeezenet1_1", weights=str(path))
    with pytest.raises(CbirError, match=rf"{tmp_path}.*CBIR_CACHE_DIR"):
        export_network(spec, path)


def test_other_weights_than_those_of_the_spec_are_refused_by_both_hashes(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = checkpoint("squeezenet1_1")
    spec, origin = resolve_spec("squeezenet1_1", weights=str(path))
    path.write_bytes(b"replaced")
    with pytest.raises(SpecMismatchError, match=rf"sha256:.*{spec.weights}; bring the original"):
        load_embedder(spec, weights_from=origin, device="cpu")


def test_a_vision_transformer_is_exported_with_any_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from torchvision.models import VisionTransformer

    small = VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)
    monkeypatch.setattr("torchvision.models.get_model", lambda *_, **__: small.eval())
    torch.save(small.state_dict(), tmp_path / "small.pth")
    known, origin = resolve_spec("vit_b_32", weights=str(tmp_path / "small.pth"))
    spec = replace(known, dim=32, preprocessing=Preprocessing(resize=64, crop=64))

    images = list(np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8))
    exported = load_embedder(spec, weights_from=origin, device="cpu", precision="fp32")
    eager = load_embedder(spec, weights_from=origin, device="cpu", runtime="torch")
    np.testing.assert_allclose(exported.embed(images), eager.embed(images), atol=1e-4)


@pytest.mark.parametrize("way", ["_by_tracing", "_by_torch_export"])
def test_either_way_of_conversion_is_enough(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("this way is closed")

    other = {"_by_tracing": "_by_torch_export", "_by_torch_export": "_by_tracing"}[way]
    monkeypatch.setattr(export, other, fail)
    monkeypatch.setenv("CBIR_CACHE_DIR", str(tmp_path / "cache"))
    path = checkpoint("squeezenet1_1")
    spec, _ = resolve_spec("squeezenet1_1", weights=str(path))
    assert export_network(spec, path) == exported_network(spec)


def test_a_network_that_cannot_be_converted_says_what_to_do(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_agrees", lambda *_: False)
    path = checkpoint("squeezenet1_1")
    spec, _ = resolve_spec("squeezenet1_1", weights=str(path))
    with pytest.raises(BackboneError, match=r"cannot convert squeezenet1_1 .*--runtime torch"):
        export_network(spec, path)
