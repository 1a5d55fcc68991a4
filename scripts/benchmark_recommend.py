"""`cbir recommend --all` over a large gallery, with several rules: seconds and peak memory.

The gallery's embeddings are mixtures of three real ones with noise of the real ones' spread in
each dimension, so that they lie as real ones do; four in five images belong to a product of
several. Every run is a process of its own, timed from its start to its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from demo_images import write_demo_gallery

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch, FileState, ImageRow
from cbir.gallery import Gallery

CBIR = Path(sys.executable).with_name("cbir")
BATCH = 5000
NOISE = 0.3
RULES: dict[str, list[str]] = {
    "nearest": [],
    "category, other brand, in stock": [
        *("--same", "category", "--different", "brand", "--where", "stock=true")
    ],
    "one per product, by margin, varied": [
        *("--group-by", "product", "--weight", "margin", "--diversity", "0.3")
    ],
    "all dimensions (--exact)": ["--exact"],
}


def main() -> None:
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = Path(sys.argv[2]) if len(sys.argv) > 2 else write_demo_gallery(folder / "images")
        subprocess.run([CBIR, "index", images, "-g", folder / "real"], stdout=subprocess.DEVNULL)
        with Gallery.open(folder / "real") as real:
            vectors, spec = real.catalog.sample(20_000), real.spec
        started = time.perf_counter()
        with Gallery.create(folder / "shop", spec) as gallery:
            fill(gallery.catalog, count, vectors)
            gallery.image_index()
        print(
            f"{count:,} images of {spec.dim} dimensions, mixed from {len(vectors):,} real ones; "
            f"written in {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        print(f"{'rules':<36} {'seconds':>8} {'of CPU':>8} {'peak MB':>8}")
        for name, options in RULES.items():
            seconds, processor, peak, said = run(folder, options)
            print(
                f"{name:<36} {seconds:>8.1f} {processor:>8.1f} {peak:>8,.0f}   {said}", flush=True
            )


def fill(catalog: Catalog, count: int, real: np.ndarray) -> None:
    """Write `count` products with embeddings mixed from real ones."""
    rng = np.random.default_rng(0)
    spread = NOISE * real.std(axis=0)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        shares = rng.dirichlet((2.0, 1.0, 0.5), size).astype(np.float32)
        parents = real[rng.integers(0, len(real), (size, 3))]
        mixed = np.einsum("nm,nmd->nd", shares, parents)
        mixed += spread * rng.standard_normal(mixed.shape, dtype=np.float32)
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        rows = [product(start + i, vector, rng) for i, vector in enumerate(mixed)]
        catalog.write("/shop", Batch(images=rows))


def product(number: int, vector: np.ndarray, rng: np.random.Generator) -> ImageRow:
    path = f"/shop/images/{number // 1000}/{number}.jpg"
    return ImageRow(
        key=path,
        uri=path,
        name=f"{number}.jpg",
        state=FileState(10_000 + number, number),
        content_hash=number.to_bytes(16, "big"),
        width=640,
        height=480,
        metadata={
            "category": f"category {rng.integers(25)}",
            "brand": f"brand {rng.integers(200)}",
            "product": f"P{int(rng.integers(100_000)) // 2}",
            "price": round(float(rng.lognormal(3, 1)), 2),
            "margin": round(float(rng.uniform(1, 30)), 2),
            "stock": bool(rng.random() < 0.85),
        },
        embedding=vector,
    )


def run(folder: Path, options: list[str]) -> tuple[float, float, float, str]:
    """Seconds, seconds of CPU time, peak memory in MB, and what the command says it did."""
    out = folder / "recommendations.parquet"
    command = [CBIR, "recommend", "--all", "--out", out, "-g", folder / "shop", *options]
    started = time.perf_counter()
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
        # Of this child alone; getrusage would give the largest of all.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            sys.exit(f"cbir recommend failed ({status}): {said.read()}")
        said.seek(0)
        lines = [line for line in said.read().splitlines() if not line.startswith("written")]
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, " | ".join(lines)


if __name__ == "__main__":
    main()
