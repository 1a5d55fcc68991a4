"""Whole `cbir index` runs beside the loop that tutorials show, on the same images and weights.

With --memory: the peak memory of COUNT images and of ten times as many, instead.

Four processes per network, one after another: the tutorial's loop (Pillow, eager PyTorch, batches
of 32); decoding and inference alone, on every core, everything in memory; `cbir index` at the
default precision; and with `--precision int8`. The network is exported and quantised before, as it
is for every run but the first. Beside the time on the clock stands the time of the processor, which
other work on the machine does not disturb.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CBIR = [sys.executable, "-c", "from cbir.cli import main; main()"]
CHUNK = 16
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark_index")
    parser.add_argument("data", type=Path, help="a folder of photographs")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--backbone", action="append")
    parser.add_argument("--memory", action="store_true", help="how it grows, instead of speed")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        step, backbone, weights = asked.one.split(",", 2)
        run = {"tutorial": tutorial, "ceiling": ceiling}[step]
        print(json.dumps(run(photographs(asked.data, asked.count), backbone, weights or None)))
        return
    found: dict[str, Any] = {"processor": processor(), "images": asked.count, "runs": {}}
    print(f"{asked.count:,} photographs, {found['processor']}")
    with tempfile.TemporaryDirectory() as name:
        if asked.memory:
            found["memory"] = memory(asked.data, asked.count, Path(name))
        else:
            for backbone in asked.backbone or ["efficientnet_lite0", "resnet50"]:
                found["runs"][backbone] = compare(asked.data, asked.count, backbone, Path(name))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def compare(data: Path, count: int, backbone: str, folder: Path) -> dict[str, Any]:
    weights = random_weights(backbone, folder)
    links = link(photographs(data, count), folder / f"photos-{count}")
    few = link(photographs(data, 128), folder / "few")
    choice = ["--backbone", backbone, *(["--weights", weights] if weights else [])]
    for precision in ("auto", "int8"):  # exports, quantises and compiles
        index(few, folder / f"warm-{backbone}-{precision}", precision, choice)
    once = [sys.executable, __file__, data, str(count), "--one"]
    steps = {
        "tutorial": lambda: timed([*once, f"tutorial,{backbone},{weights}"]),
        "ceiling": lambda: timed([*once, f"ceiling,{backbone},{weights}"]),
        "default": lambda: index(links, folder / f"{backbone}-auto", "auto", choice),
        "int8": lambda: int8(links, folder, backbone, choice),
    }
    names = {
        "tutorial": "Pillow + eager PyTorch, batch 32",
        "ceiling": "decoding + inference alone, every core",
        "default": "cbir index",
        "int8": "cbir index --precision int8",
    }
    print(
        f"\n{backbone:<40} {'images/s':>9} {'ratio':>6} {'of alone':>9} {'per CPU s':>9} "
        f"{'ratio':>6} {'MB':>6}"
    )
    results: dict[str, Any] = {}
    for step, work in steps.items():
        one = results[step] = work()
        one["rate"], one["cpu_rate"] = count / one["seconds"], count / one["cpu"]
        ratio = one["rate"] / results["tutorial"]["rate"]
        cpu_ratio = one["cpu_rate"] / results["tutorial"]["cpu_rate"]
        alone = one["rate"] / results["ceiling"]["rate"] if step == "default" else None
        part = " " * 9 if alone is None else f"{alone:>9.0%}"
        print(
            f"{names[step]:<40} {one['rate']:>9.1f} {ratio:>6.1f} {part} {one['cpu_rate']:>9.1f} "
            f"{cpu_ratio:>6.1f} {one['mb']:>6.0f}",
            flush=True,
        )
    return results


def int8(links: Path, folder: Path, backbone: str, choice: list[Any]) -> dict[str, float]:
    """With the network calibrated before, on other images: once per gallery, not per run."""
    gallery = folder / f"warm-{backbone}-int8"
    return index(links, gallery, "int8", choice)


def index(photos: Path, gallery: Path, precision: str, choice: list[Any]) -> dict[str, float]:
    command = [*CBIR, "index", photos, "-g", gallery, "--precision", precision, *choice]
    return timed(command, own=False)


def timed(command: list[Any], *, own: bool = True) -> dict[str, float]:
    """Seconds on the clock and of the processor of a whole process, and its peak memory.

    With `own` the process says itself what it took, without its start.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with ThreadPoolExecutor(1) as pool:
        errors = pool.submit(process.stderr.read)
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 3):
            sys.exit(errors.result().decode())
    if own:
        return dict(json.loads(said.splitlines()[-1]))
    cpu, mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return {"seconds": seconds, "cpu": cpu, "mb": mb}


def tutorial(files: list[Path], backbone: str, weights: str | None) -> dict[str, float]:
    """What a first program does: open, resize, normalise, stack 32, run, keep."""
    import torch
    from PIL import Image
    from torchvision import transforms

    from cbir.embedding import find_backbone, locate_weights, resolve_spec
    from cbir.embedding.networks import build_network

    spec, origin = resolve_spec(backbone, weights=weights)
    network = build_network(spec, locate_weights(find_backbone(backbone), origin).path)
    shape = spec.preprocessing
    cubic = transforms.InterpolationMode.BICUBIC
    prepare = transforms.Compose([
        transforms.Resize(shape.resize, cubic), transforms.CenterCrop(shape.crop),
        transforms.ToTensor(), transforms.Normalize(shape.mean, shape.std),
    ])  # fmt: skip
    started = clock()
    kept = []
    with torch.no_grad():
        for start in range(0, len(files), BATCH):
            images = [prepare(Image.open(f).convert("RGB")) for f in files[start : start + BATCH]]
            kept.append(network.pooling(network.body(torch.stack(images))).numpy())
    assert sum(len(part) for part in kept) == len(files)
    return since(started)


def ceiling(files: list[Path], backbone: str, weights: str | None) -> dict[str, float]:
    """Decoding and inference with nothing around them, one thread per core, encoded in memory."""
    from cbir.config import available_cores
    from cbir.embedding import load_embedder, resolve_spec
    from cbir.images import decode

    spec, origin = resolve_spec(backbone, weights=weights)
    embedder = load_embedder(spec, weights_from=origin, streams=available_cores())
    encoded = [file.read_bytes() for file in files]

    def work(start: int) -> int:
        part = [decode(data, spec.preprocessing).pixels for data in encoded[start : start + CHUNK]]
        return len(embedder.embed(part))

    with ThreadPoolExecutor(embedder.parallelism) as pool:
        list(pool.map(work, range(0, 2 * CHUNK, CHUNK)))
        started = clock()
        assert sum(pool.map(work, range(0, len(files), CHUNK))) == len(files)
        return since(started)


def clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(started: tuple[float, float]) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, cpu = (now - then for now, then in zip(clock(), started, strict=True))
    return {"seconds": seconds, "cpu": cpu, "mb": peak}


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
    print(f"\n{'cbir index, 64 px, small JPEGs':<40} {'images/s':>9} {'MB':>6}")
    for size in (count, 10 * count):
        photos = link(every[:size], folder / f"cuts-{size}")
        one = index(photos, folder / f"memory-{size}", "auto", choice)
        peaks[str(size)] = one["mb"]
        print(f"{f'{size:,} images':<40} {size / one['seconds']:>9.1f} {one['mb']:>6.0f}")
    return peaks


def photographs(data: Path, count: int) -> list[Path]:
    """So many files, spread over all there are; taken again where there are fewer."""
    found = sorted(p for p in data.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not found:
        sys.exit(f"{data}: no photographs; name a folder of JPEG files")
    places = np.linspace(0, len(found) - 1, count) if count < len(found) else np.arange(count)
    return [found[int(place) % len(found)] for place in places]


def link(files: list[Path], folder: Path) -> Path:
    """The files as one folder, under numbers."""
    if not folder.exists():
        folder.mkdir()
        for number, file in enumerate(files):
            (folder / f"{number:06}{file.suffix}").symlink_to(file.resolve())
    return folder


def random_weights(backbone: str, folder: Path) -> str:
    """A checkpoint of random numbers where the network's own are not installed; or nothing."""
    from cbir.embedding import find_backbone, weights_present

    found = find_backbone(backbone)
    if weights_present(found):
        return ""
    import torch

    from cbir.embedding.networks import architecture

    torch.manual_seed(0)
    path = folder / f"{backbone}.pth"
    torch.save(architecture(found, found.preprocessing.crop).state_dict(), path)
    return str(path)


def processor() -> str:
    """What computes here, and the instructions that decide how fast: `… 2 cores, avx2`."""
    from cbir.config import available_cores

    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{available_cores()} cores"
    name = next((x.partition(":")[2].strip() for x in text.splitlines() if "model name" in x), "")
    flags = [f for f in ("avx512_bf16", "avx512_vnni", "avx512f", "avx2") if f in text]
    return f"{name}, {available_cores()} cores, {', '.join(flags[:3])}"


if __name__ == "__main__":
    main()
