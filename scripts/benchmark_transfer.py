"""Export a synthetic gallery and import it again, each in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmark_catalog import batch

from cbir import Gallery, export_gallery, import_gallery
from cbir.config import EmbeddingSpec, Preprocessing

PAGE = 1000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    dim = int(sys.argv[2]) if len(sys.argv) > 2 else 1280
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder, "gallery"), count, dim)
        print(f"{count:,} images, {dim}-d embeddings")
        for name in ("shop.parquet", "shop.npy"):
            file = Path(folder, name)
            for what, *paths in (
                ("export", Path(folder, "gallery"), file),
                ("import", file, Path(folder, f"{name}-gallery")),
                ("again", file, Path(folder, f"{name}-gallery")),
            ):
                command = [sys.executable, __file__, what, *map(str, paths)]
                subprocess.run(command, check=True)


def fill(path: Path, count: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    spec = EmbeddingSpec("benchmark", "none", "none", dim, Preprocessing(32, 32))
    with Gallery.create(path, spec) as gallery:
        for start in range(0, count, PAGE):
            vectors = rng.normal(size=(PAGE, dim)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            gallery.write("/shop", batch(start, min(count, start + PAGE), vectors))


def step(what: str, source: str, target: str) -> None:
    """One export or import; of the latter, the vector index is built and counted apart."""
    indexing = used = peak = 0.0
    refresh = Gallery.update_indexes

    def timed(gallery: Gallery) -> None:
        nonlocal indexing, used, peak
        peak = peak_mb()
        started, worked = time.perf_counter(), time.process_time()
        refresh(gallery)
        indexing, used = time.perf_counter() - started, time.process_time() - worked

    Gallery.update_indexes = timed  # type: ignore[method-assign]
    worked = time.process_time()
    if what == "export":
        with Gallery.open(source) as gallery:
            report = export_gallery(gallery, target)
        images, seconds, note = report.images, report.seconds, f"{report.bytes / 1e6:,.0f} MB"
    else:
        done = import_gallery(source, target)
        images, seconds = done.images, done.seconds - indexing
        note = f"and {indexing:,.1f} s for the vector index, peak {peak_mb():,.0f} MB"
    processor = time.process_time() - worked - used
    kind = Path(target if what == "export" else source).suffix
    print(
        f"{what:<7}{kind:<9} {images / seconds:>8,.0f} rows/s {images / processor:>8,.0f} rows/s"
        f" of CPU time  peak {peak or peak_mb():>6,.0f} MB  {note}",
        flush=True,
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    step(*sys.argv[1:]) if len(sys.argv) > 3 else main()
