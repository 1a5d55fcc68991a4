"""Insert, read back and compare rows of the catalogue, as an indexing run does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cbir.arrays import Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch
from cbir.config import GalleryConfig
from scripts.benchmarks.arguments import parser
from scripts.benchmarks.data import made_up_path, made_up_row, made_up_spec, random_vectors
from scripts.benchmarks.measuring import stopwatch

BATCH = 1000


def main(arguments: Sequence[str]) -> None:
    command = parser("catalog", __doc__)
    command.add_argument("images", type=int, nargs="?", default=1_000_000)
    command.add_argument("dimension", type=int, nargs="?", default=512)
    options = command.parse_args(arguments)
    count, dim = options.images, options.dimension
    vectors = random_vectors(np.random.default_rng(0), BATCH, dim)
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.create(
            f"sqlite:///{folder}/catalog.sqlite", GalleryConfig(made_up_spec(dim))
        )
        print(f"{count:,} images, {dim}-d embeddings, {BATCH:,} rows a transaction")
        with timed("insert", count):
            for start in range(0, count, BATCH):
                catalog.write("/shop", batch(start, min(count, start + BATCH), vectors))
        with timed("compare", count):
            for start in range(0, count, BATCH):
                keys = [made_up_path(i) for i in range(start, min(count, start + BATCH))]
                assert len(catalog.indexed_images(keys)) == len(keys)
        with timed("read back", count), catalog.snapshot() as snapshot:
            assert sum(len(ids) for ids, _ in snapshot.changed_since(0)) == count
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"{'on disk':<10} {size / 1e6:>10,.0f} MB")
        catalog.close()


def batch(start: int, end: int, vectors: Vectors) -> Batch:
    """The images numbered from `start` to `end`, with a little metadata."""
    return Batch(
        images=[
            made_up_row(i, vectors[i - start], {"category": "shoes", "price": i})
            for i in range(start, end)
        ]
    )


@contextmanager
def timed(step: str, count: int) -> Iterator[None]:
    with stopwatch() as watch:
        yield
    print(
        f"{step:<10} {count / watch.seconds:>10,.0f} rows/s"
        f" {count / watch.cpu_seconds:>10,.0f} rows/s of CPU time",
        flush=True,
    )
