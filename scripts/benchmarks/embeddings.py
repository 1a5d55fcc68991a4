"""Many real embeddings: of random crops and alterations of photographs, computed once and
stored."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from cbir.config import available_cores
from cbir.embedding import load_embedder, resolve_spec
from cbir.embedding.vectors import unit_rows
from scripts.benchmarks.measuring import ROOT

KEPT = ROOT / "index_data/benchmark"
INPUT = 128
"""Side of the network's input in pixels: takes a third of the time of 224."""
REAL = 101_200
"""Number of crops embedded: a gallery of 100,000, the queries and the additions. Further vectors
are perturbed mixtures of these."""

Vectors = npt.NDArray[np.float32]


def embeddings(data: Path, count: int) -> npt.NDArray[np.float16]:
    """(count, 1280) unit vectors of the default network; made on the first call."""
    real = _real(data, min(count, REAL))
    if count <= len(real):
        return real[:count]
    rng = np.random.default_rng(0)
    everything = np.empty((count, real.shape[1]), np.float16)
    everything[: len(real)] = real
    for start in range(len(real), count, 20_000):
        size = min(20_000, count - start)
        one, other = (real[rng.integers(0, len(real), size)].astype(np.float32) for _ in "ab")
        part = rng.uniform(0, 0.3, (size, 1)).astype(np.float32)
        noise = 0.006 * rng.normal(size=one.shape).astype(np.float32)
        everything[start : start + size] = unit_rows((1 - part) * one + part * other + noise)
    return everything


def _real(data: Path, count: int) -> npt.NDArray[np.float16]:
    kept = KEPT / f"embeddings-{INPUT}px-{count}.npy"
    if not kept.exists():
        files = sorted(p for p in data.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        embedder = load_embedder(resolve_spec(input_size=INPUT)[0], streams=available_cores())
        each = -(-count // len(files))
        parts = KEPT / f"parts-{count}"
        parts.mkdir(parents=True, exist_ok=True)

        def embed(number: int) -> None:
            part = parts / f"{number}.npy"  # minutes of work: a run that is killed goes on
            if not part.exists():
                views = _views(files[number], each)
                vectors = [embedder.embed(views[i : i + 8]) for i in range(0, each, 8)]
                np.save(building := parts / f"{number}.building.npy", np.concatenate(vectors))
                building.rename(part)

        with ThreadPoolExecutor(embedder.parallelism) as pool:
            for number, _ in enumerate(pool.map(embed, range(len(files))), 1):
                if number % 200 == 0:
                    print(f"embedding {number * each:,} of {count:,}", file=sys.stderr)
        done = [np.load(parts / f"{number}.npy") for number in range(len(files))]
        # Not in the order of files: the first half must be as varied as the whole.
        everything = np.concatenate(done).astype(np.float16)
        np.save(kept, np.random.default_rng(0).permutation(everything)[:count])
        shutil.rmtree(parts)
    return np.asarray(np.load(kept))


def _views(path: Path, count: int) -> list[npt.NDArray[np.uint8]]:
    """Random crops of a photograph, half of them mirrored, brighter, paler."""
    rng = np.random.default_rng(len(path.name) + path.stat().st_size)
    image = Image.open(path).convert("RGB")
    views = []
    for _ in range(count):
        side, aspect = rng.uniform(0.35, 1) ** 0.5, np.exp(rng.uniform(-0.3, 0.3))
        width = min(image.width, int(image.width * side * aspect**0.5))
        height = min(image.height, int(image.height * side / aspect**0.5))
        left, top = rng.integers(0, (image.width - width + 1, image.height - height + 1))
        box = (int(left), int(top), int(left) + width, int(top) + height)
        view = image.resize((INPUT, INPUT), Image.Resampling.BILINEAR, box=box, reducing_gap=2)
        if rng.random() < 0.5:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if rng.random() < 0.5:
            view = ImageEnhance.Brightness(view).enhance(rng.uniform(0.7, 1.3))
        if rng.random() < 0.5:
            view = ImageEnhance.Color(view).enhance(rng.uniform(0.5, 1.5))
        views.append(np.asarray(view))
    return views
