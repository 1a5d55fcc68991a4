"""Speed of `cbir index` against the loop of tutorials, on the same images and weights.

With --memory: the peak memory of COUNT images and of ten times as many, instead.

Four processes per network, one after another: the tutorial's loop (Pillow, eager PyTorch, batches
of 32); decoding and inference alone, on every core, everything in memory; `cbir index` at the
default precision; and with `--precision int8`. The network is exported and quantised before, as it
is for every run but the first. Beside the time on the clock stands the time of the processor, which
other work on the machine does not disturb.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks.arguments import add_data, add_json, parser
from scripts.benchmarks.data import link, photographs, random_weights
from scripts.benchmarks.measuring import (
    ProcessRun,
    Stopwatch,
    call_in_process,
    peak_mb,
    processor,
    run_cbir,
    stopwatch,
)
from scripts.benchmarks.tables import Table

CHUNK = 16
BATCH = 32
STEPS = {
    "tutorial": "Pillow + eager PyTorch, batch 32",
    "ceiling": "decoding + inference alone, every core",
    "default": "cbir index",
    "int8": "cbir index --precision int8",
}
"""Ways to index, in the order in which they run; ratios are to the first."""


def main(arguments: Sequence[str]) -> None:
    command = parser("index", __doc__)
    add_data(command)
    command.add_argument("count", type=int, nargs="?", default=1000)
    command.add_argument("--backbone", action="append")
    command.add_argument("--memory", action="store_true", help="how it grows, instead of speed")
    add_json(command)
    options = command.parse_args(arguments)
    results: dict[str, Any] = {"processor": processor(), "images": options.count, "runs": {}}
    print(f"{options.count:,} photographs, {results['processor']}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.memory:
            results["memory"] = memory(options.data, options.count, folder)
        else:
            for backbone in options.backbone or ["efficientnet_lite0", "resnet50"]:
                results["runs"][backbone] = compare(options.data, options.count, backbone, folder)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def compare(data: Path, count: int, backbone: str, folder: Path) -> dict[str, Any]:
    weights = random_weights(backbone, folder)
    links = link(photographs(data, count), folder / f"photos-{count}")
    few = link(photographs(data, 128), folder / "few")
    choice = ["--backbone", backbone, *(["--weights", weights] if weights else [])]
    for precision in ("auto", "int8"):  # exports, quantises and compiles
        index(few, folder / f"warm-{backbone}-{precision}", precision, choice)
    steps: dict[str, Callable[[], dict[str, float]]] = {
        "tutorial": lambda: call_in_process(tutorial, data, count, backbone, weights),
        "ceiling": lambda: call_in_process(ceiling, data, count, backbone, weights),
        "default": lambda: figures(index(links, folder / f"{backbone}-auto", "auto", choice)),
        # The network was calibrated before, on other images: once per gallery, not per run.
        "int8": lambda: figures(index(links, folder / f"warm-{backbone}-int8", "int8", choice)),
    }
    print()
    table = Table({
        backbone: "<40", "images/s": "9.1f", "ratio": "6.1f", "of alone": "9.0%",
        "per CPU s": "9.1f", "CPU ratio": "9.1f", "MB": "6.0f",
    })  # fmt: skip
    table.print_header()
    results: dict[str, Any] = {}
    for step, title in STEPS.items():
        result = results[step] = steps[step]()
        result["rate"], result["cpu_rate"] = count / result["seconds"], count / result["cpu"]
        ratios = [result[key] / results["tutorial"][key] for key in ("rate", "cpu_rate")]
        alone = result["rate"] / results["ceiling"]["rate"] if step == "default" else ""
        table.print_row(
            title, result["rate"], ratios[0], alone, result["cpu_rate"], ratios[1], result["mb"]
        )
    return results


def index(photos: Path, gallery: Path, precision: str, choice: list[Any]) -> ProcessRun:
    """A whole `cbir index`."""
    return run_cbir("index", photos, "-g", gallery, "--precision", precision, *choice)


def figures(run: ProcessRun | Stopwatch) -> dict[str, float]:
    """Of a process that was started, or of this one."""
    memory = run.peak_mb if isinstance(run, ProcessRun) else peak_mb()
    return {"seconds": run.seconds, "cpu": run.cpu_seconds, "mb": memory}


def tutorial(data: str, count: int, backbone: str, weights: str) -> dict[str, float]:
    """The loop of tutorials: open, resize, normalise, stack 32, run, store."""
    import torch
    from PIL import Image
    from torchvision import transforms

    from cbir.embedding import find_backbone, locate_weights, resolve_spec
    from cbir.embedding.pytorch.network import build_network

    files = photographs(Path(data), count)
    spec, origin = resolve_spec(backbone, weights=weights or None)
    network = build_network(spec, locate_weights(find_backbone(backbone), origin).path)
    shape = spec.preprocessing
    cubic = transforms.InterpolationMode.BICUBIC
    prepare = transforms.Compose([
        transforms.Resize(shape.resize, cubic), transforms.CenterCrop(shape.crop),
        transforms.ToTensor(), transforms.Normalize(shape.mean, shape.std),
    ])  # fmt: skip
    vectors = []
    with stopwatch() as watch, torch.no_grad():
        for start in range(0, len(files), BATCH):
            images = [prepare(Image.open(f).convert("RGB")) for f in files[start : start + BATCH]]
            vectors.append(network.pooling(network.body(torch.stack(images))).numpy())
    assert sum(len(part) for part in vectors) == len(files)
    return figures(watch)


def ceiling(data: str, count: int, backbone: str, weights: str) -> dict[str, float]:
    """Only decoding and inference of encoded images in memory, one thread per core."""
    from cbir.config import available_cores
    from cbir.embedding import load_embedder, resolve_spec
    from cbir.images import decode

    files = photographs(Path(data), count)
    spec, origin = resolve_spec(backbone, weights=weights or None)
    embedder = load_embedder(spec, weights_from=origin, streams=available_cores())
    encoded = [file.read_bytes() for file in files]

    def work(start: int) -> int:
        part = [decode(data, spec.preprocessing).pixels for data in encoded[start : start + CHUNK]]
        return len(embedder.embed(part))

    with ThreadPoolExecutor(embedder.parallelism) as pool:
        list(pool.map(work, range(0, 2 * CHUNK, CHUNK)))
        with stopwatch() as watch:
            assert sum(pool.map(work, range(0, len(files), CHUNK))) == len(files)
    return figures(watch)


def memory(data: Path, count: int, folder: Path) -> dict[str, float]:
    """Peak memory of indexing small JPEGs, cut from the photographs, in MB by their number."""
    from PIL import Image

    files, rng, peaks = photographs(data, 500), np.random.default_rng(0), {}
    cuts = folder / "cuts"
    cuts.mkdir()
    for number in range(10 * count):
        with Image.open(files[number % len(files)]) as image:
            image.draft("RGB", (256, 256))
            x, y = rng.integers(0, 64, 2)
            cut = image.convert("RGB").crop((int(x), int(y), int(x) + 96, int(y) + 96))
        encoded = io.BytesIO()
        cut.save(encoded, "JPEG", quality=80)
        (cuts / f"{number:06}.jpg").write_bytes(encoded.getvalue())
    every, choice = sorted(cuts.iterdir()), ["--input-size", "64"]
    index(link(every[:16], folder / "few"), folder / "warm", "auto", choice)  # exports
    print()
    table = Table({"cbir index, 64 px, small JPEGs": "<40", "images/s": "9.1f", "MB": "6.0f"})
    table.print_header()
    for size in (count, 10 * count):
        photos = link(every[:size], folder / f"cuts-{size}")
        run = index(photos, folder / f"memory-{size}", "auto", choice)
        peaks[str(size)] = run.peak_mb
        table.print_row(f"{size:,} images", size / run.seconds, run.peak_mb)
    return peaks
