"""Insert, read back and compare rows of the catalogue, as an indexing run does."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch, ImageRow
from cbir.config import EmbeddingSpec, GalleryConfig, Preprocessing
from cbir.types import ImageVersion

BATCH = 1000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    dim = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(BATCH, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    spec = EmbeddingSpec("benchmark", "none", "none", dim, Preprocessing(32, 32))
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.create(f"sqlite:///{folder}/catalog.sqlite", GalleryConfig(spec))
        print(f"{count:,} images, {dim}-d embeddings, {BATCH:,} rows a transaction")
        with timed("insert", count):
            for start in range(0, count, BATCH):
                catalog.write("/shop", batch(start, min(count, start + BATCH), vectors))
        with timed("compare", count):
            for start in range(0, count, BATCH):
                found = catalog.known([uri(i) for i in range(start, min(count, start + BATCH))])
                assert len(found) == min(BATCH, count - start)
        with timed("read back", count), catalog.snapshot() as snapshot:
            assert sum(len(ids) for ids, _ in snapshot.changed_since(0)) == count
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"{'on disk':<10} {size / 1e6:>10,.0f} MB")
        catalog.close()


def batch(start: int, end: int, vectors: np.ndarray) -> Batch:
    return Batch(
        images=[
            ImageRow(
                key=uri(i),
                uri=uri(i),
                name=f"{i}.jpg",
                version=ImageVersion(10_000 + i, i),
                content_hash=i.to_bytes(16, "big"),
                width=640,
                height=480,
                metadata={"category": "shoes", "price": i},
                embedding=vectors[i - start],
            )
            for i in range(start, end)
        ]
    )


def uri(i: int) -> str:
    return f"/shop/images/{i // 1000}/{i}.jpg"


@contextmanager
def timed(what: str, count: int) -> Iterator[None]:
    started, worked = time.perf_counter(), time.process_time()
    yield
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(
        f"{what:<10} {count / seconds:>10,.0f} rows/s"
        f" {count / processor:>10,.0f} rows/s of CPU time",
        flush=True,
    )


if __name__ == "__main__":
    main()
