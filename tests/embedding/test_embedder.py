"""The contract of every embedder, and that the runtimes agree on real photographs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cbir.embedding import Embedder, devices, load_embedder, resolve_spec
from cbir.embedding.openvino.compiling import compile_network, has_native_bf16
from cbir.embedding.openvino.importing import import_openvino
from cbir.errors import BackboneError
from cbir.images import decode

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Vectors = np.ndarray[Any, np.dtype[np.float32]]


@pytest.fixture(scope="session")
def eager(lite0: Embedder) -> Embedder:
    """The default backbone in torch: what the others are held against."""
    return load_embedder(lite0.spec, device="cpu", runtime="torch")


@pytest.fixture(scope="session")
def bf16(lite0: Embedder, session_cache: Any) -> Iterator[Embedder]:
    if not has_native_bf16(import_openvino().Core()):
        pytest.skip("this processor does not compute in bfloat16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_CACHE_DIR", str(session_cache))
        yield load_embedder(lite0.spec, device="cpu", precision="bf16", streams=2)


@pytest.fixture(scope="session")
def exact(lite0: Embedder, photos: list[Pixels]) -> Vectors:
    return lite0.embed(photos)


@pytest.fixture(params=["lite0", "eager", "tiny"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "tiny":
        return load_embedder(resolve_spec("tiny_image")[0])
    found: Embedder = request.getfixturevalue(request.param)
    return found


def some_images(embedder: Embedder, count: int) -> list[Pixels]:
    side = embedder.spec.preprocessing.crop
    return list(np.random.default_rng(5).integers(0, 256, (count, side, side, 3), np.uint8))


@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_every_image_becomes_a_unit_vector(embedder: Embedder, count: int) -> None:
    vectors = embedder.embed(some_images(embedder, count))
    assert vectors.shape == (count, embedder.spec.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_an_image_embeds_alike_alone_and_in_company(embedder: Embedder) -> None:
    images = some_images(embedder, 6)
    alone = np.concatenate([embedder.embed([image]) for image in images])
    np.testing.assert_allclose(embedder.embed(images), alone, atol=1e-5)


def test_threads_may_embed_at_once(embedder: Embedder) -> None:
    images = some_images(embedder, 12)
    expected = embedder.embed(images)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: embedder.embed([image])[0], images))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_plain_image_has_a_finite_unit_embedding(embedder: Embedder) -> None:
    side = embedder.spec.preprocessing.crop
    for value in (0, 128, 255):
        (vector,) = embedder.embed([np.full((side, side, 3), value, np.uint8)])
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(10, 10, 3), (224, 224), (224, 224, 4)])
def test_an_image_of_another_shape_is_refused(embedder: Embedder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"cbir\.images\.decode prepares it"):
        embedder.embed([np.zeros(shape, np.uint8)])


def test_fp32_in_openvino_equals_torch(
    eager: Embedder, exact: Vectors, photos: list[Pixels]
) -> None:
    some = slice(0, 30)  # torch takes its time
    cosines = (eager.embed(photos[some]) * exact[some]).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_bf16_stays_close_to_fp32(bf16: Embedder, exact: Vectors, photos: list[Pixels]) -> None:
    cosines = (bf16.embed(photos) * exact).sum(axis=1)
    assert cosines.mean() >= 0.999
    assert cosines.min() >= 0.995  # 0.990 where the first depthwise layer is rounded as well


def test_bf16_retrieves_as_well_as_fp32(
    lite0: Embedder, bf16: Embedder, corel1k: tuple[list[bytes], list[str]]
) -> None:
    files, labels = corel1k
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(lambda f: decode(f, lite0.spec.preprocessing).pixels, files))
    exact = mean_average_precision(lite0.embed(images), labels)
    assert exact == pytest.approx(0.902, abs=0.005)  # as measured with other code
    assert mean_average_precision(bf16.embed(images), labels) == pytest.approx(exact, abs=0.002)


def mean_average_precision(vectors: Vectors, labels: list[str]) -> float:
    """Leave-one-out over all images; AP is the mean of precision at each relevant rank."""
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1)[:, :-1]
    relevant = np.asarray(labels)[order] == np.asarray(labels)[:, None]
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return float(np.mean((precision * relevant).sum(axis=1) / relevant.sum(axis=1)))


def test_auto_is_torch_where_there_is_a_gpu(
    lite0: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cbir.embedding.pytorch import runtime

    seen: list[str] = []

    class Gpu:
        def __init__(self, *_: object, device: str, precision: str) -> None:
            seen.append(f"{device} {precision}")

    monkeypatch.setattr(devices, "_cuda_works", lambda: True)
    monkeypatch.setattr(runtime, "TorchRuntime", Gpu)
    load_embedder(lite0.spec)
    assert seen == ["cuda auto"]
    assert load_embedder(lite0.spec, device="cpu").describe().startswith("openvino")
    assert load_embedder(lite0.spec, runtime="openvino").describe().startswith("openvino")


def test_an_embedder_says_where_it_runs(lite0: Embedder, eager: Embedder) -> None:
    assert lite0.describe() == "openvino fp32, 1 stream"
    assert eager.describe() == "torch fp32, cpu"


@pytest.mark.parametrize(
    ("platform", "cuda", "build", "chosen"),
    [
        ("linux", False, "2.9.0", "cpu"),
        ("linux", True, "2.9.0", "cuda"),
        ("linux", False, "2.9.0+xpu", "xpu"),
        ("darwin", False, "2.9.0", "mps"),
    ],
)
def test_auto_takes_the_gpu_that_torch_can_use(
    monkeypatch: pytest.MonkeyPatch, platform: str, cuda: bool, build: str, chosen: str
) -> None:
    for available in ("torch.backends.mps.is_available", "torch.xpu.is_available"):
        monkeypatch.setattr(available, lambda: True)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(devices, "_cuda_works", lambda: cuda)
    monkeypatch.setattr(devices, "_torch_version", lambda: build)
    assert devices.choose_device("auto", "auto")[0] == chosen
    assert devices.choose_device("auto", "openvino") == ("cpu", "openvino")
    assert devices.choose_device("openvino:GPU", "auto") == ("openvino:GPU", "openvino")


class Core:
    """OpenVINO on a machine with an Intel GPU; what it compiles is compiled for the CPU."""

    available_devices = ("CPU", "GPU.0", "GPU.1")

    def __init__(self) -> None:
        self.compiled: list[tuple[str, str]] = []

    def compile_model(self, network: Any, device: str, options: dict[str, Any]) -> Any:
        assert "INFERENCE_NUM_THREADS" not in options
        self.compiled.append((device, options["INFERENCE_PRECISION_HINT"]))
        return compile_network(import_openvino().Core(), network, "fp32")


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("openvino:GPU", "auto", ("GPU", "f16")),
        ("openvino:GPU.1", "fp32", ("GPU.1", "f32")),
    ],
)
def test_openvino_on_its_gpu(
    lite0: Embedder,
    photos: list[Pixels],
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    precision: Any,
    expected: tuple[str, str],
) -> None:
    from cbir.embedding.openvino import runtime

    core = Core()
    monkeypatch.setattr(runtime, "import_openvino", lambda: SimpleNamespace(Core=lambda: core))
    opened = load_embedder(lite0.spec, device=device, precision=precision)
    assert core.compiled == [expected]
    assert opened.device == device
    assert expected[0] in opened.describe()
    vectors = opened.embed(photos[:20])
    assert (vectors * lite0.embed(photos[:20])).sum(axis=1).min() >= 0.999


def test_streams_are_how_many_threads_pay_off(lite0: Embedder) -> None:
    assert lite0.parallelism == 1
    assert load_embedder(lite0.spec, device="cpu", precision="fp32", streams=3).parallelism == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"device": "tpu"},
            "no device 'tpu'; choose auto, cpu, cuda, cuda:N, mps, xpu, xpu:N or openvino:GPU",
        ),
        ({"device": "cuda", "runtime": "openvino"}, "openvino does not run on cuda"),
        ({"runtime": "onnx"}, "no runtime 'onnx'; choose auto, openvino or torch"),
        (
            {"device": "cpu", "precision": "fp16"},
            "openvino has no precision 'fp16' on cpu; choose auto, fp32, bf16, int8",
        ),
        ({"precision": "int8"}, "efficientnet_lite0 has no int8 network calibrated"),
        (
            {"device": "cpu", "runtime": "torch", "precision": "int8"},
            "torch has no precision 'int8'",
        ),
        ({"device": "cuda:99"}, "no device 'cuda:99': torch sees"),
        ({"device": "cuda:x"}, "no device 'cuda:x'; choose"),
        ({"device": "xpu:99"}, "no device 'xpu:99': torch sees 0 XPU devices"),
        ({"device": "openvino:GPU.99"}, "no device 'openvino:GPU.99': openvino sees CPU"),
        ({"device": "openvino:GPU", "runtime": "torch"}, "torch does not run on openvino:GPU"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(
    lite0: Embedder, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BackboneError, match=message):
        load_embedder(lite0.spec, **options)


def test_torch_on_the_cpu_can_run_in_bf16(lite0: Embedder, photos: list[Pixels]) -> None:
    half = load_embedder(lite0.spec, device="cpu", runtime="torch", precision="bf16")
    cosines = (half.embed(photos[:4]) * lite0.embed(photos[:4])).sum(axis=1)
    assert cosines.min() >= 0.99


def test_the_first_inferences_of_a_process_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    from cbir.embedding.openvino import runtime

    # Two threads that infer first, at the same time, can block each other for ever.
    monkeypatch.setattr(runtime, "_inferred", threading.Event())
    together, at_work, most = threading.Barrier(4), [0], [0]

    class Request:
        def infer(self, inputs: object, *, share_inputs: bool) -> None:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            time.sleep(0.02)
            at_work[0] -= 1

    def infer(_: int) -> None:
        together.wait()
        runtime._infer(Request(), np.zeros((1, 8, 8, 3), np.uint8))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(infer, range(4)))
        assert most[0] == 1
        list(pool.map(infer, range(4)))
        assert most[0] > 1
