"""Speed of embedding on a GPU, from the network alone to a whole gallery, by stage.

The same network, each time with one thing more: arrays that lie on the GPU, with and without
recorded kernels; arrays in main memory, with the copies; JPEG bytes, decoded by threads or by
processes; files, with the catalogue. The lowest rate of the parts is the bottleneck.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from cbir import Gallery, index_images
from cbir.config import EmbeddingSpec, available_cores
from cbir.embedding import embed_views, load_embedder, resolve_spec
from cbir.embedding.pytorch.runtime import GPU_BATCH, TorchRuntime
from cbir.images import DecodedImage, DecodeOptions
from cbir.indexing.executor import ChunkQueue
from cbir.indexing.local_executor import EmbeddingThreads
from scripts.benchmarks.arguments import add_data, add_json, parser
from scripts.benchmarks.data import link, photographs, random_weights
from scripts.benchmarks.measuring import stopwatch

WANTED = 0.6
"""Target share of the network's own rate, for embedding from JPEG bytes."""


def main(arguments: Sequence[str]) -> None:
    command = parser("gpu", __doc__)
    add_data(command)
    command.add_argument("--backbone", default="resnet50")
    command.add_argument("--precision", default="auto", choices=["auto", "fp16", "bf16", "fp32"])
    command.add_argument("--images", type=int, default=8192, metavar="N", help="JPEGs, repeated")
    command.add_argument("--device", default="cuda", help="cpu tries the script out")
    add_json(command)
    options = command.parse_args(arguments)
    if options.device != "cpu" and not torch.cuda.is_available():
        print("torch sees no GPU here: nothing to measure")
        return
    with TemporaryDirectory() as folder:
        weights = random_weights(options.backbone, Path(folder)) or None
        spec, origin = resolve_spec(options.backbone, weights=weights)
        embedder = load_embedder(
            spec,
            weights_from=origin,
            device=options.device,
            runtime="torch",
            precision=options.precision,
        )
        assert isinstance(embedder, TorchRuntime)
        print(f"{options.backbone}, {embedder.describe()}, {available_cores()} cores")
        files = photographs(options.data, 512)
        rates = {**network_rates(embedder), **decoding_rates(spec, files, embedder, options.images)}
        rates["files to a gallery"] = gallery_rate(
            embedder, origin, files, options.images, Path(folder)
        )
    bare = rates["network alone"]
    for name, found in rates.items():
        print(f"{name:<34} {found:>9,.0f} images/s  {found / bare:>6.0%}")
    parts = ("network alone", "decoded arrays", "decoding, processes")
    print(f"bottleneck: {min(parts, key=rates.__getitem__)}")
    reached = rates["JPEG bytes, processes"] / bare
    print(f"JPEG bytes reach {reached:.0%} of the network alone; {WANTED:.0%} are asked for")
    if options.json:
        options.json.write_text(json.dumps(rates, indent=1))


def network_rates(embedder: TorchRuntime) -> dict[str, float]:
    """Without and with recorded kernels, and with the copies from main memory."""
    shape = (GPU_BATCH, embedder.spec.preprocessing.crop, embedder.spec.preprocessing.crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    batch = torch.from_numpy(pixels).to(embedder.device)
    network = embedder.network

    def unrecorded() -> None:
        with torch.inference_mode():
            network(batch)

    images = list(pixels)
    with ThreadPoolExecutor(2) as pool:
        return {
            "network alone, kernels one by one": rate(unrecorded, embedder),
            "network alone": rate(lambda: embedder.forward(batch), embedder),
            "decoded arrays": 2
            * rate(lambda: list(pool.map(embedder.embed, [images, images])), embedder),
        }


def rate(work: Callable[[], object], embedder: TorchRuntime, *, least_s: float = 3.0) -> float:
    """Images per second, batch by batch, without the first runs, which set things up."""
    for _ in range(5 if embedder.device != "cpu" else 1):
        work()
    finish(embedder)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < least_s:
        for _ in range(10 if embedder.device != "cpu" else 1):
            work()
            count += GPU_BATCH
        finish(embedder)
    return count / (time.perf_counter() - started)


def finish(embedder: TorchRuntime) -> None:
    if embedder.device != "cpu":
        torch.cuda.synchronize(embedder.device)


class Blind:
    """An embedder that does nothing, so that only decoding is measured."""

    def __init__(self, inner: TorchRuntime) -> None:
        self.spec = inner.spec
        self.device = inner.device
        self.parallelism = available_cores()

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.zeros((len(images), self.spec.dim), np.float32)

    def describe(self) -> str:
        return "nothing"


def decoding_rates(
    spec: EmbeddingSpec, files: Sequence[Path], embedder: TorchRuntime, count: int
) -> dict[str, float]:
    """By threads and by processes, without and with the network behind them."""
    data = [path.read_bytes() for path in files]
    rates = {}
    for what, target in (("decoding", Blind(embedder)), ("JPEG bytes", embedder)):
        for how, decoders in (("threads", 0), ("processes", available_cores())):
            with at_work(target, decoders) as queue:
                embed_all(queue, islice(cycle(data), 4 * GPU_BATCH))  # warms up
                with stopwatch() as watch:
                    embed_all(queue, islice(cycle(data), count))
                rates[f"{what}, {how}"] = count / watch.seconds
    return rates


def embed_all(queue: ChunkQueue[bytes, np.ndarray], images: Iterable[bytes]) -> None:
    for chunk in queue.chunks(images):
        queue.exchange(chunk)
    list(queue.drain())


@contextmanager
def at_work(
    embedder: TorchRuntime | Blind, decoders: int
) -> Iterator[ChunkQueue[bytes, np.ndarray]]:
    spec = embedder.spec
    options = DecodeOptions(spec.preprocessing, spec.views)

    def work(chunk: Sequence[bytes]) -> Sequence[np.ndarray]:
        decoded: list[DecodedImage] = [threads.decode(data, options) for data in chunk]
        return list(embed_views(embedder, [image.pixels[0] for image in decoded]))

    threads = EmbeddingThreads(work, embedder, decoders=decoders)
    with ChunkQueue(threads) as queue:
        yield queue


def gallery_rate(
    embedder: TorchRuntime, origin: str | None, files: Sequence[Path], count: int, folder: Path
) -> float:
    """`index_images` over files, each linked under several names."""
    photos = link(list(islice(cycle(files), count)), folder / "photos")
    with Gallery.create(folder / "gallery", embedder.spec, weights_from=origin) as gallery:
        report = index_images(photos, gallery, embedder=embedder)
    if report.added != count:
        raise SystemExit(f"indexed {report.added} of {count} images: {report.failed[:3]}")
    return count / report.seconds
