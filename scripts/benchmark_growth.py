"""How time and memory grow with a gallery: indexing to 100,000 images, searching to a million.

Indexing is whole `cbir index` runs over 16-pixel pictures with the backbone that needs no network:
a network takes the same time for every image, and would hide what the rest does. Searching is over
real embeddings of the default network (`benchmark_embeddings`), at the index kind `auto` chooses.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_embeddings import embeddings
from benchmark_index import index
from benchmark_search import ADDED, QUERIES, answer, fill, resident_mb
from benchmark_sync import draw

SIZES = (1000, 10_000, 100_000, 1_000_000)
INDEXED_UP_TO = 100_000


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(search(Path(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(prog="scripts/benchmark_growth")
    parser.add_argument("data", type=Path, help="a folder of photographs")
    parser.add_argument("--largest", type=int, default=1_000_000, metavar="COUNT")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    asked = parser.parse_args()
    sizes = [size for size in SIZES if size <= asked.largest]
    found: dict[str, dict[int, float]] = {
        key: {} for key in ("index_seconds", "index_mb", "search_ms", "search_mb")
    }
    with tempfile.TemporaryDirectory(dir="index_data") as name:
        folders = {size: Path(name) / str(size) for size in sizes}
        # First, while this process is small: one that it starts begins with its peak memory.
        for size, folder in folders.items():
            folder.mkdir()
            if size <= INDEXED_UP_TO:
                draw(folder / "photos", 0, size)
                choice = ["--backbone", "tiny_image"]
                one = index(folder / "photos", folder / "gallery", "auto", choice)
                found["index_seconds"][size], found["index_mb"][size] = one["seconds"], one["mb"]
        print(f"{'images':>10} {'index s':>9} {'peak MB':>9} {'query ms':>9} {'MB':>9}")
        vectors = embeddings(asked.data, QUERIES + ADDED + max(sizes))
        for size, folder in folders.items():
            fill(folder, vectors[QUERIES + ADDED :][:size])
            np.save(folder / "queries.npy", vectors[:QUERIES])
            command = [sys.executable, __file__, "--one", folder]
            for part in ("build", "search"):  # what building leaves in memory is not searching's
                run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                del part
            said: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
            found["search_ms"][size], found["search_mb"][size] = said["p50"], said["memory"]
            cells = [found[key].get(size) for key in found]
            told = (f"{'–' if cell is None else f'{cell:,.2f}':>9}" for cell in cells)
            print(f"{size:>10,} {' '.join(told)}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))
    if asked.plot:
        from benchmark_plots import growth_plot

        growth_plot(found, asked.plot)


def search(folder: Path) -> dict[str, float]:
    """The median of single queries, and the memory of the process that answers them."""
    from cbir.catalog.catalog import Catalog
    from cbir.indexes.local import LocalIndex
    from cbir.indexes.registry import IndexPlace

    catalog = Catalog.open(f"sqlite:///{folder}/catalog.sqlite")
    queries = np.load(folder / "queries.npy").astype(np.float32)
    vectors = LocalIndex(IndexPlace(folder / "vectors", queries.shape[1]))
    vectors.catch_up(catalog)
    return {"p50": answer(vectors, queries)["p50"], "memory": resident_mb()}


if __name__ == "__main__":
    main()
