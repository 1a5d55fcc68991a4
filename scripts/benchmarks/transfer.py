"""Export a synthetic gallery and import it again, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cbir import Gallery, export_gallery, import_gallery
from scripts.benchmarks.arguments import parser
from scripts.benchmarks.catalog import batch
from scripts.benchmarks.data import made_up_spec, random_vectors
from scripts.benchmarks.measuring import Stopwatch, call_in_process, peak_mb, stopwatch

PAGE = 1000


def main(arguments: Sequence[str]) -> None:
    command = parser("transfer", __doc__)
    command.add_argument("images", type=int, nargs="?", default=100_000)
    command.add_argument("dimension", type=int, nargs="?", default=1280)
    options = command.parse_args(arguments)
    count, dim = options.images, options.dimension
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
                print(call_in_process(step, what, *paths), flush=True)


def fill(path: Path, count: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    with Gallery.create(path, made_up_spec(dim)) as gallery:
        for start in range(0, count, PAGE):
            vectors = random_vectors(rng, PAGE, dim)
            gallery.write("/shop", batch(start, min(count, start + PAGE), vectors))


def step(what: str, source: str, target: str) -> str:
    """One export or import; of the latter, the vector index is built and counted apart."""
    indexing, peak = Stopwatch(), 0.0
    refresh = Gallery.update_indexes

    def timed(gallery: Gallery) -> None:
        nonlocal indexing, peak
        peak = peak_mb()
        with stopwatch() as indexing:
            refresh(gallery)

    Gallery.update_indexes = timed  # type: ignore[method-assign, assignment]
    with stopwatch() as whole:
        if what == "export":
            with Gallery.open(source) as gallery:
                written = export_gallery(gallery, target)
        else:
            read = import_gallery(source, target)
    if what == "export":
        images, seconds, note = written.images, written.seconds, f"{written.bytes / 1e6:,.0f} MB"
    else:
        images, seconds = read.images, read.seconds - indexing.seconds
        note = f"and {indexing.seconds:,.1f} s for the vector index, peak {peak_mb():,.0f} MB"
    processor = whole.cpu_seconds - indexing.cpu_seconds
    kind = Path(target if what == "export" else source).suffix
    return (
        f"{what:<7}{kind:<9} {images / seconds:>8,.0f} rows/s {images / processor:>8,.0f} rows/s"
        f" of CPU time  peak {peak or peak_mb():>6,.0f} MB  {note}"
    )
