"""Growth of time and memory with a gallery: indexing to 100,000 images, searching to a million.

Indexing is whole `cbir index` runs over 16-pixel pictures with the backbone that needs no network:
a network takes the same time for every image, and would hide what the rest does. Searching is over
real embeddings of the default network (`embeddings.py`), at the index kind `auto` chooses.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.benchmarks.arguments import add_data, add_json, add_plot, parser
from scripts.benchmarks.data import draw_pictures
from scripts.benchmarks.index import index
from scripts.benchmarks.measuring import ROOT, call_in_process, resident_mb
from scripts.benchmarks.search import ADDED, QUERIES, answer, fill
from scripts.benchmarks.tables import Table

SIZES = (1000, 10_000, 100_000, 1_000_000)
INDEXED_UP_TO = 100_000


def main(arguments: Sequence[str]) -> None:
    # Not for the process whose memory is measured.
    from scripts.benchmarks.embeddings import embeddings

    command = parser("growth", __doc__)
    add_data(command)
    command.add_argument("--largest", type=int, default=1_000_000, metavar="COUNT")
    add_json(command)
    add_plot(command, "the four figures against the number of images")
    options = command.parse_args(arguments)
    sizes = [size for size in SIZES if size <= options.largest]
    found: dict[str, dict[int, float]] = {
        key: {} for key in ("index_seconds", "index_mb", "search_ms", "search_mb")
    }
    with tempfile.TemporaryDirectory(dir=ROOT / "index_data") as name:
        folders = {size: Path(name) / str(size) for size in sizes}
        # First, while this process is small: one that it starts begins with its peak memory.
        for size, folder in folders.items():
            folder.mkdir()
            if size <= INDEXED_UP_TO:
                draw_pictures(folder / "photos", 0, size)
                choice = ["--backbone", "tiny_image"]
                run = index(folder / "photos", folder / "gallery", "auto", choice)
                found["index_seconds"][size] = run.seconds
                found["index_mb"][size] = run.peak_mb
        table = Table({
            "images": "10,d", "index s": "9,.2f", "peak MB": "9,.2f", "query ms": "9,.2f",
            "MB": "9,.2f",
        })  # fmt: skip
        table.print_header()
        vectors = embeddings(options.data, QUERIES + ADDED + max(sizes))
        for size, folder in folders.items():
            fill(folder, vectors[QUERIES + ADDED :][:size])
            np.save(folder / "queries.npy", vectors[:QUERIES])
            call_in_process(search, folder)  # builds; what that leaves in memory is not searching's
            answered = call_in_process(search, folder)
            found["search_ms"][size], found["search_mb"][size] = answered["p50"], answered["memory"]
            table.print_row(size, *(found[key].get(size) for key in found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    if options.plot:
        from scripts.benchmarks.plots import growth_plot

        growth_plot(found, options.plot)


def search(path: str) -> dict[str, float]:
    """The median of single queries, and the memory of the process that answers them."""
    from cbir.catalog.catalog import Catalog
    from cbir.indexes.local import LocalIndex
    from cbir.indexes.registry import IndexPlace

    folder = Path(path)
    catalog = Catalog.open(f"sqlite:///{folder}/catalog.sqlite")
    queries = np.load(folder / "queries.npy").astype(np.float32)
    vectors = LocalIndex(IndexPlace(folder / "vectors", queries.shape[1]))
    vectors.catch_up(catalog)
    return {"p50": answer(vectors, queries)["p50"], "memory": resident_mb()}
