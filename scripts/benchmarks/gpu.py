"""Speed of embedding on a GPU, from the network alone to a whole gallery, by stage.

The same network, each time with one thing more: arrays that lie on the GPU, with kernels one by
one, recorded and compiled; arrays in main memory, with the copies; JPEG bytes, decoded by the GPU
or by processes; files, with the catalogue. The lowest rate of the parts is the bottleneck. Beside
the rates: how far embeddings of images decoded on the GPU are from those decoded by the CPU.
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
from cbir.embedding import Precision, load_embedder, resolve_spec
from cbir.embedding.encoded import EmbeddedPicture, decode_each, embed_encoded
from cbir.embedding.pytorch.gpu_decoding import GpuDecoder, nvjpeg_decoder
from cbir.embedding.pytorch.runtime import TorchRuntime
from cbir.images import DecodedImage, DecodeOptions
from cbir.indexing.executor import ChunkQueue
from cbir.indexing.local_executor import EmbeddingThreads
from scripts.benchmarks.arguments import add_data, add_json, parser
from scripts.benchmarks.data import link, photographs, random_weights
from scripts.benchmarks.measuring import resident_mb, stopwatch

ALONE = "network alone"
ARRAYS, BYTES, FILES = "decoded arrays", "JPEG bytes", "files to a gallery"
Result = EmbeddedPicture | Exception


def main(arguments: Sequence[str]) -> None:
    command = parser("gpu", __doc__)
    add_data(command)
    command.add_argument("--backbone", action="append", help="resnet50 by default; several")
    command.add_argument("--precision", default="auto", choices=["auto", "fp16", "bf16", "fp32"])
    command.add_argument("--images", type=int, default=16384, metavar="N", help="JPEGs, repeated")
    command.add_argument("--device", default="cuda", help="cpu tries the script out")
    add_json(command)
    options = command.parse_args(arguments)
    if options.device != "cpu" and not torch.cuda.is_available():
        print("torch sees no GPU here: nothing to measure")
        return
    files = photographs(options.data, 512)
    tables = {}
    for backbone in options.backbone or ["resnet50"]:
        with TemporaryDirectory() as folder:
            tables[backbone] = measure(
                backbone, files, options.images, options.device, options.precision, Path(folder)
            )
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1))


def measure(
    backbone: str,
    files: Sequence[Path],
    count: int,
    device: str,
    precision: Precision,
    folder: Path,
) -> dict[str, float]:
    """Print and return the rates of one network, in images per second."""
    weights = random_weights(backbone, folder) or None
    spec, origin = resolve_spec(backbone, weights=weights)
    embedder = load_embedder(
        spec, weights_from=origin, device=device, runtime="torch", precision=precision
    )
    assert isinstance(embedder, TorchRuntime)
    print(f"{backbone}, {embedder.describe()}, {available_cores()} cores", flush=True)
    data = [path.read_bytes() for path in files]
    rates: dict[str, float] = {}

    def note(name: str, value: float) -> None:
        rates[name] = value
        print(f"  {name:<36} {value:>9,.0f} images/s", flush=True)

    for name, value in network_rates(embedder):
        note(name, value)
    print(f"  worst cosine, decoded by GPU and CPU {parity(embedder, data):.5f}")
    for name, value in decoding_rates(spec, data, embedder, count):
        note(name, value)
    before = resident_mb()
    note(FILES, gallery_rate(embedder, origin, files, count, folder))
    print(f"  memory grew by {resident_mb() - before:,.0f} MB while {count:,} files were indexed")
    for name in (ARRAYS, BYTES, FILES):
        print(f"  {name}: {rates[name] / rates[ALONE]:.0%} of the network alone")
    return rates


def network_rates(embedder: TorchRuntime) -> Iterator[tuple[str, float]]:
    """Kernels one by one, recorded and compiled; and with the copies from main memory."""
    side = embedder.spec.preprocessing.crop
    shape = (embedder.batch, side, side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    batch = torch.from_numpy(pixels).to(embedder.device)
    network = embedder.network

    def unrecorded() -> None:
        with torch.inference_mode():
            network(batch)

    images = list(pixels)
    yield "network, kernels one by one", rate(unrecorded, embedder)
    yield "network, recorded", rate(lambda: embedder.forward(batch), embedder)
    with stopwatch() as watch:
        compiled = embedder.compile()
    print(f"  compiled: {'yes' if compiled else 'no'}, {watch.seconds:.1f} s")
    yield ALONE, rate(lambda: embedder.forward(batch), embedder)
    callers = embedder.parallelism
    with ThreadPoolExecutor(callers) as pool:
        many = [images] * callers
        yield ARRAYS, callers * rate(lambda: list(pool.map(embedder.embed, many)), embedder)


def rate(work: Callable[[], object], embedder: TorchRuntime, *, least_s: float = 2.0) -> float:
    """Images per second, batch by batch, without the first runs, which set things up."""
    for _ in range(5 if embedder.device != "cpu" else 1):
        work()
    finish(embedder)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < least_s:
        for _ in range(5 if embedder.device != "cpu" else 1):
            work()
            count += embedder.batch
        finish(embedder)
    return count / (time.perf_counter() - started)


def finish(embedder: TorchRuntime) -> None:
    if embedder.device != "cpu":
        torch.cuda.synchronize(embedder.device)


def parity(embedder: TorchRuntime, data: Sequence[bytes]) -> float:
    """The smallest cosine of an image decoded where indexing does it and by the CPU."""
    options = DecodeOptions(embedder.spec.preprocessing, embedder.spec.views)
    there = embed_encoded(embedder, data[:200], options)
    decoded = decode_each(data[:200], options)
    here = embedder.embed(
        [image.pixels[0, 0] for image in decoded if isinstance(image, DecodedImage)]
    )
    vectors = np.stack([one.vectors[0] for one in there if isinstance(one, EmbeddedPicture)])
    return float((vectors * here).sum(axis=1).min())


def decoding_rates(
    spec: EmbeddingSpec, data: Sequence[bytes], embedder: TorchRuntime, count: int
) -> Iterator[tuple[str, float]]:
    """Decoding by the GPU and by processes, and with the network behind it."""
    options = DecodeOptions(spec.preprocessing, spec.views)
    device = torch.device(embedder.device)
    decode = nvjpeg_decoder(device)
    images = list(islice(cycle(data), count))
    if decode is not None:
        decoder = GpuDecoder(device, decode)
        chunks = [images[start : start + 256] for start in range(0, count, 256)]
        with ThreadPoolExecutor(embedder.parallelism) as pool:
            list(pool.map(lambda chunk: decoder.decode(chunk, options), chunks[:4]))
            with stopwatch() as watch:
                decoded = list(pool.map(lambda c: len(decoder.decode(c, options)), chunks))
            yield "decoding, GPU", sum(decoded) / watch.seconds
    with threads(embedder, options) as running:
        running.decode_all(images[:256], options)
        with stopwatch() as watch:
            running.decode_all(images[: count // 4], options)
        yield "decoding, processes", len(images[: count // 4]) / watch.seconds
        with ChunkQueue(running) as queue:
            embed_all(queue, images[:2048])  # warms up
            with stopwatch() as watch:
                embed_all(queue, images)
            yield BYTES, count / watch.seconds


def embed_all(queue: ChunkQueue[bytes, Result], images: Iterable[bytes]) -> None:
    for chunk in queue.chunks(images):
        queue.exchange(chunk)
    list(queue.drain())


@contextmanager
def threads(
    embedder: TorchRuntime, options: DecodeOptions
) -> Iterator[EmbeddingThreads[bytes, Result]]:
    def work(chunk: Sequence[bytes]) -> Sequence[Result]:
        return embed_encoded(embedder, chunk, options, running.decode_all)

    running = EmbeddingThreads(work, embedder)
    running.open()
    yield running


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
