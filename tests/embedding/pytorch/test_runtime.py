"""What the torch runtime does for a GPU, as far as a CPU can show it; on a GPU, all of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cbir.embedding import Embedder, find_backbone, load_embedder, resolve_spec
from cbir.embedding.pytorch import runtime
from cbir.embedding.pytorch.architecture import build_architecture
from cbir.embedding.pytorch.batch_norm import fold_batch_norms
from cbir.embedding.pytorch.cuda_graphs import (
    RUNS_BEFORE_RECORDING,
    RUNS_IN_LARGER,
    SIZES,
    GraphedNetwork,
    Recording,
)
from cbir.errors import BackboneError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
CPU = torch.device("cpu")


def with_statistics(net: nn.Module) -> nn.Module:
    """An untrained network whose normalisations do something, as those of a trained one do."""
    torch.manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("efficientnet_lite0", 49, 0),  # its convolutions pad their inputs themselves
        ("resnet18", 20, 0),
        ("mobilenet_v3_small", 34, 0),
        ("densenet121", 121, 62),  # half of them stand before a convolution
        ("vit_b_16", 0, 0),
    ],
)
def test_normalisation_is_folded_into_convolutions(name: str, before: int, after: int) -> None:
    backbone = find_backbone(name)
    architecture = build_architecture(backbone, 224)
    with_statistics(architecture.net)
    body = architecture.body
    images = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        expected = body(images)
        folded = fold_batch_norms(body)
        found = folded(images)
        assert torch.equal(body(images), expected)  # the original is left as it was
    assert normalisations(body) == before
    assert normalisations(folded) == after
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=float(expected.abs().max()) * 1e-5)


def normalisations(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_a_convolution_used_twice_is_not_folded() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            z: Tensor = self.norm(y) + y
            return z

    net, x = with_statistics(Shared()), torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(fold_batch_norms(net)(x), net(x))


def test_a_network_that_cannot_be_traced_runs_as_it_is() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    net = Branching()
    assert fold_batch_norms(net) is net


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_half_precision_agrees_with_openvino(
    lite0: Embedder, photos: list[Pixels], precision: Any
) -> None:
    some = photos[:12]
    half = load_embedder(lite0.spec, device="cpu", runtime="torch", precision=precision)
    assert (half.embed(some) * lite0.embed(some)).sum(axis=1).min() >= 0.999


class Recorder:
    """Records as on a GPU: fixed tensors in and out, and the network runs at a replay only."""

    def __init__(self, *, factor: float = 1.0, fails: bool = False) -> None:
        self.sizes: list[int] = []
        self.replays = 0
        self._factor = factor
        self.fails = fails

    def __call__(self, network: Callable[[Tensor], Tensor], images: Tensor) -> Recording:
        if self.fails:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(images))
        vectors = torch.zeros_like(network(images))

        def replay() -> None:
            self.replays += 1
            vectors.copy_(network(images) * torch.tensor([1.0, self._factor]))

        return Recording(images, vectors, replay)


class Means(nn.Module):
    """Two numbers per image: the mean of its upper and of its lower half."""

    def forward(self, images: Tensor) -> Tensor:
        half = images.shape[1] // 2
        parts = images[:, :half], images[:, half:]
        return torch.stack([part.float().mean(dim=(1, 2, 3)) for part in parts], dim=1)


def batch(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (count, 4, 4, 3), generator=generator, dtype=torch.uint8)


def test_a_batch_size_is_recorded_once_it_has_come_a_few_times() -> None:
    recorder = Recorder()
    graphed = GraphedNetwork(Means(), CPU, recorder=recorder)
    for seed in range(RUNS_BEFORE_RECORDING - 1):
        graphed(batch(1, seed))
    assert recorder.sizes == []
    graphed(batch(1, 9))
    assert recorder.sizes == [1]
    for seed in range(2 * RUNS_BEFORE_RECORDING):
        graphed(batch(50 + seed, seed))
    assert recorder.sizes == [1, 64]
    for seed in range(RUNS_IN_LARGER - 1):
        graphed(batch(17 + seed % 15, seed))
    assert recorder.sizes == [1, 64]  # in the larger recording: a new size takes a while
    graphed(batch(17, 0))
    assert recorder.sizes == [1, 64, 32]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 16, 63, 64, 65, 100])
def test_a_recording_says_what_the_network_says(count: int) -> None:
    recorder, network = Recorder(), Means()
    graphed = GraphedNetwork(network, CPU, recorder=recorder)
    found = [(graphed(batch(count, seed)), network(batch(count, seed))) for seed in range(6)]
    for vectors, expected in found:  # a later batch must not write over an earlier one's
        torch.testing.assert_close(vectors, expected)
    assert (recorder.replays > RUNS_BEFORE_RECORDING) == (count <= SIZES[-1])


@pytest.mark.parametrize("recorder", [Recorder(factor=-1.0), Recorder(fails=True)])
def test_without_a_right_recording_the_network_itself_runs(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    network = Means()
    graphed = GraphedNetwork(network, CPU, recorder=recorder)
    with caplog.at_level(logging.WARNING):
        for seed in range(3 * RUNS_BEFORE_RECORDING):
            torch.testing.assert_close(graphed(batch(2, seed)), network(batch(2, seed)))
    assert len(caplog.records) == 1
    assert "no CUDA graph of this network" in caplog.text


def test_after_one_recording_has_failed_none_is_replayed() -> None:
    recorder = Recorder()
    graphed = GraphedNetwork(Means(), CPU, recorder=recorder)
    for seed in range(2 * RUNS_BEFORE_RECORDING):
        graphed(batch(1, seed))
    assert recorder.replays > 0
    recorder.fails = True
    for seed in range(RUNS_BEFORE_RECORDING):
        graphed(batch(4, seed))
    recorder.replays = 0
    torch.testing.assert_close(graphed(batch(1, 7)), Means()(batch(1, 7)))
    assert recorder.replays == 0


def test_images_in_which_a_network_sees_nothing_are_recorded_too() -> None:
    recorder = Recorder()
    graphed = GraphedNetwork(Means(), CPU, recorder=recorder)
    for _ in range(2 * RUNS_BEFORE_RECORDING):
        found = graphed(torch.zeros((1, 4, 4, 3), dtype=torch.uint8))
    assert recorder.replays > RUNS_BEFORE_RECORDING
    assert not found.any()


def test_forgotten_recordings_are_made_again() -> None:
    recorder = Recorder()
    graphed = GraphedNetwork(Means(), CPU, recorder=recorder)
    for seed in range(RUNS_BEFORE_RECORDING):
        graphed(batch(8, seed))
    graphed.clear()
    for seed in range(RUNS_BEFORE_RECORDING):
        assert recorder.sizes == [8]
        graphed(batch(8, seed))
    assert recorder.sizes == [8, 8]


def test_what_overflows_in_half_precision_runs_in_fp32(
    checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def loud(state: dict[str, Any]) -> dict[str, Any]:
        return state | {"layer4.1.bn2.bias": torch.full((512,), 1e6)}

    path = checkpoint("resnet18", wrap=loud)
    spec, origin = resolve_spec("resnet18", weights=str(path))
    images = list(np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8))
    expected = load_embedder(spec, weights_from=origin, runtime="torch", device="cpu")

    # As `auto` would choose on a GPU.
    monkeypatch.setattr(runtime, "_choose_precision", lambda *_: "fp16")
    half = load_embedder(spec, weights_from=origin, runtime="torch", device="cpu")
    assert half.describe() == "torch fp16, cpu"
    with caplog.at_level(logging.WARNING):
        found = half.embed(images)
    assert half.describe() == "torch fp32, cpu"
    assert "resnet18 overflows in fp16" in caplog.text
    np.testing.assert_allclose(found, expected.embed(images), atol=1e-5)

    asked = load_embedder(
        spec, weights_from=origin, runtime="torch", device="cpu", precision="fp16"
    )
    with pytest.raises(BackboneError, match="try precision fp32"):
        asked.embed(images)


def test_batches_shrink_until_they_fit_into_memory(
    lite0: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = load_embedder(lite0.spec, runtime="torch", device="cpu")
    images = list(np.random.default_rng(1).integers(0, 256, (7, 224, 224, 3), np.uint8))
    expected, forward, tried, room = opened.embed(images), opened.forward, [], [1]  # type: ignore[attr-defined]

    def small(batch: Tensor) -> Tensor:
        tried.append(len(batch))
        if len(batch) > room[0]:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        vectors: Tensor = forward(batch)
        return vectors

    monkeypatch.setattr(opened, "forward", small)
    np.testing.assert_allclose(opened.embed(images), expected, atol=1e-5)
    assert tried == [4, 2, *([1] * 7)]
    room[0] = 0
    with pytest.raises(BackboneError, match="does not fit into the memory of cpu"):
        opened.embed(images)


@pytest.fixture
def gpu() -> str:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    return "cuda"


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_a_gpu_agrees_with_the_cpu(
    gpu: str, lite0: Embedder, photos: list[Pixels], precision: Any
) -> None:
    opened = load_embedder(lite0.spec, device=gpu, precision=precision)
    least = 0.995 if precision == "bf16" else 0.999
    with ThreadPoolExecutor(2) as pool:
        for _ in range(RUNS_BEFORE_RECORDING + 1):  # before and after its kernels are recorded
            parts = list(pool.map(opened.embed, [photos[::2], photos[1::2]]))
    for found, images in zip(parts, (photos[::2], photos[1::2]), strict=True):
        assert (found * lite0.embed(images)).sum(axis=1).min() >= least


def test_a_gpu_runs_recordings(gpu: str, lite0: Embedder, photos: list[Pixels]) -> None:
    opened: Any = load_embedder(lite0.spec, device=gpu)
    one = photos[:1]
    for _ in range(RUNS_BEFORE_RECORDING + 1):
        found = opened.embed(one)
    assert list(opened._network._recordings) == [1]
    assert (found * lite0.embed(one)).sum(axis=1).min() >= 0.999
