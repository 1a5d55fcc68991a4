"""`cbir recommend --all` over a large gallery, with several rules: seconds and peak memory.

The gallery's embeddings are mixtures of three real ones with noise of the real ones' spread in
each dimension, so that they lie as real ones do; four in five images belong to a product of
several. Every run is a process of its own, timed from its start to its end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch, ImageRow
from cbir.gallery import Gallery
from scripts.benchmarks.arguments import parser
from scripts.benchmarks.data import made_up_row
from scripts.benchmarks.measuring import CBIR, run_cbir, run_process, stopwatch
from scripts.benchmarks.tables import Table
from scripts.examples.photographs import write_demo_gallery

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


def main(arguments: Sequence[str]) -> None:
    command = parser("recommend", __doc__)
    command.add_argument("images", type=int, nargs="?", default=100_000)
    command.add_argument(
        "source", type=Path, nargs="?", help="images whose embeddings are mixed (the demo's)"
    )
    options = command.parse_args(arguments)
    count = options.images
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run_cbir(
            "index", options.source or write_demo_gallery(folder / "images"), "-g", folder / "real"
        )
        with Gallery.open(folder / "real") as real:
            vectors, spec = real.catalog.sample(20_000), real.spec
        with stopwatch() as watch, Gallery.create(folder / "shop", spec) as gallery:
            fill(gallery.catalog, count, vectors)
            gallery.image_index()
        print(
            f"{count:,} images of {spec.dim} dimensions, mixed from {len(vectors):,} real ones; "
            f"written in {watch.seconds:.0f} s",
            flush=True,
        )
        table = Table({"rules": "<36", "seconds": "8.1f", "of CPU": "8.1f", "peak MB": "8,.0f",
                       "": "<2"})  # fmt: skip
        table.print_header()
        out = folder / "recommendations.parquet"
        for name, rules in RULES.items():
            run = run_process(
                [*CBIR, "recommend", "--all", "--out", out, "-g", folder / "shop", *rules]
            )
            lines = [line for line in run.output.splitlines() if not line.startswith("written")]
            report = "  " + " | ".join(lines)
            table.print_row(name, run.seconds, run.cpu_seconds, run.peak_mb, report)


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
    return made_up_row(
        number,
        vector,
        {
            "category": f"category {rng.integers(25)}",
            "brand": f"brand {rng.integers(200)}",
            "product": f"P{int(rng.integers(100_000)) // 2}",
            "price": round(float(rng.lognormal(3, 1)), 2),
            "margin": round(float(rng.uniform(1, 30)), 2),
            "stock": bool(rng.random() < 0.85),
        },
    )
