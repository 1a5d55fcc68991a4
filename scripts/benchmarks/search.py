"""Speed and recall of the vector indexes on many real embeddings.

Queries are embeddings held out of the gallery. Every kind runs in a process of its own, so that
its memory is its own: a gallery's catalogue is filled, the index built, reopened, searched one
query at a time, added to and removed from.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch
from cbir.config import GalleryConfig
from cbir.indexes.hnsw import HnswOptions
from cbir.indexes.local import LocalIndex
from cbir.indexes.pq import PqOptions
from cbir.indexes.registry import IndexPlace, structure_class
from scripts.benchmarks.arguments import add_data, add_json, add_plot, parser
from scripts.benchmarks.data import made_up_row, made_up_spec
from scripts.benchmarks.measuring import (
    ROOT,
    call_in_process,
    last_json,
    resident_mb,
    seconds_of,
)
from scripts.benchmarks.tables import Table

QUERIES = 200
ADDED = 1000
CURVES: dict[str, list[Any]] = {
    "pq": [PqOptions(candidates=count) for count in (25, 50, 100, 200, 400, 800, 1600)],
    "hnsw": [HnswOptions(ef_search=count) for count in (16, 32, 64, 128, 256)],
}
"""Options that trade recall for time."""
PEERS = {"hnswlib": "hnswlib", "usearch": "usearch"}
"""Modules and what pip installs for them."""
TABLE = Table({
    "index": "<10", "recall@10": "9.4f", "p50 ms": "8.2f", "p95 ms": "8.2f", "build s": "8.1f",
    "reopen s": "8.2f", "add 1,000 s": "11.2f", "remove s": "8.2f", "memory MB": "9.0f",
})  # fmt: skip
KEYS = ("recall", "p50", "p95", "build", "reopen", "add", "remove", "memory")
"""Of the figures, in the table's order."""


def million(arguments: Sequence[str]) -> None:
    """The same over ten times as many."""
    main(arguments, count=1_000_000)


def main(arguments: Sequence[str], *, count: int = 100_000) -> None:
    # Not for the processes whose memory is measured.
    from scripts.benchmarks.embeddings import embeddings

    command = parser("search", __doc__)
    add_data(command)
    command.add_argument("count", type=int, nargs="?", default=count)
    command.add_argument("--kind", action="append", choices=["flat", "pq", "hnsw", "ivf"])
    command.add_argument("--peers", action="store_true", help="hnswlib and usearch, too")
    add_json(command)
    add_plot(command, "recall against time and memory")
    options = command.parse_args(arguments)
    count, results = options.count, dict[str, Any]()

    def note(kind: str, figures: dict[str, Any]) -> None:
        results[kind] = figures
        TABLE.print_row(kind, *(figures.get(key) for key in KEYS))
        if options.json:  # after each: the next may take long
            options.json.write_text(json.dumps({"count": count, "kinds": results}, indent=1))

    vectors = embeddings(options.data, QUERIES + ADDED + count)
    kinds = options.kind or (["flat", "pq", "hnsw"] if count <= 200_000 else ["flat", "pq"])
    with tempfile.TemporaryDirectory(dir=ROOT / "index_data") as name:
        folder = Path(name)
        # What is searched is real at every size, and nothing of it is in the gallery.
        queries, added, gallery = np.split(vectors, [QUERIES, QUERIES + ADDED])
        np.save(folder / "queries.npy", queries)
        np.save(folder / "added.npy", added)
        np.save(folder / "gallery.npy", gallery)
        fill(folder, gallery)
        del vectors, queries, added, gallery
        print(f"{count:,} embeddings of 1280 dimensions, {QUERIES} queries, 10 neighbours")
        TABLE.print_header()
        for kind in kinds:
            note(kind, call_in_process(measure, kind, folder))
        if options.peers:
            python = peers()
            for peer in PEERS:
                note(peer, measure_peer(python, peer, folder))
    if options.plot:
        from scripts.benchmarks.plots import search_plot

        search_plot(results, count, options.plot)


def peers() -> str:
    """The interpreter of an environment that has the peers, made once."""
    home = ROOT / "index_data/benchmark/peers"
    if not (home / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        install = [str(home / "bin/pip"), "install", "--quiet", "numpy", *PEERS.values()]
        subprocess.run(install, check=True)
        (home / "done").touch()
    return str(home / "bin/python")


def measure_peer(python: str, peer: str, folder: Path) -> dict[str, Any]:
    """The same queries, answered by another library in its own environment."""
    script = Path(__file__).with_name("peer_indexes.py")
    run = subprocess.run(
        [python, script, peer, folder], stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(last_json(run.stdout))


def fill(folder: Path, vectors: np.ndarray) -> None:
    """A catalogue of these embeddings in a folder."""
    config = GalleryConfig(made_up_spec(vectors.shape[1]))
    catalog = Catalog.create(f"sqlite:///{folder}/catalog.sqlite", config)
    write(catalog, vectors, 0)
    catalog.close()


def write(catalog: Catalog, vectors: np.ndarray, first: int) -> None:
    for start in range(0, len(vectors), 2000):
        rows = [
            made_up_row(first + start + i, vector)
            for i, vector in enumerate(vectors[start : start + 2000].astype(np.float32))
        ]
        catalog.write("/benchmark", Batch(images=rows))


def measure(kind: Any, path: str) -> dict[str, Any]:
    """Measure one kind of cbir's indexes; the catalogue is left unchanged."""
    folder = Path(path)
    catalog = Catalog.open(f"sqlite:///{folder}/catalog.sqlite")
    queries = np.load(folder / "queries.npy").astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    dim, found = queries.shape[1], dict[str, Any]()
    files = folder / f"vectors-{kind}"
    catalog.change_config(lambda config: replace(config, index=kind))
    index = LocalIndex(IndexPlace(files, dim))
    found["build"] = seconds_of(lambda: index.catch_up(catalog))
    index.close()
    index = LocalIndex(IndexPlace(files, dim))
    found["reopen"] = seconds_of(lambda: index.catch_up(catalog))
    assert index.kind == kind
    found.update(answer(index, queries))
    found["memory"] = resident_mb()
    truth = exact(folder, queries)
    found["recall"] = recall(found.pop("rows"), truth)
    found["curve"] = []
    structure: Any = structure_class(kind)
    usual = getattr(structure, "options", None)
    for options in CURVES.get(kind, []):
        structure.options = options
        point = answer(index, queries)
        found["curve"].append((recall(point["rows"], truth), point["p50"]))
        structure.options = usual
    count = catalog.count()
    write(catalog, np.load(folder / "added.npy"), count)
    found["add"] = seconds_of(lambda: index.catch_up(catalog))
    assert index.count() == count + ADDED
    catalog.remove(index.ids()[-ADDED:].tolist())
    found["remove"] = seconds_of(lambda: index.catch_up(catalog))
    assert index.count() == count
    return found


def answer(index: LocalIndex, queries: np.ndarray) -> dict[str, Any]:
    """Every query by itself: the ids found, and the milliseconds it took."""
    times, rows = [], []
    index.search(queries[:1], 10)
    for query in queries:
        started = time.perf_counter()
        rows.append(index.search(query[None], 10).ids[0])
        times.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(times, [50, 95])
    return {"rows": rows, "p50": p50, "p95": p95}


def recall(rows: list[np.ndarray], truth: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, truth, strict=True)]))


def exact(folder: Path, queries: np.ndarray) -> np.ndarray:
    """The ids of the ten nearest by a plain scan: (Q, 10), kept for the other kinds."""
    kept = folder / "truth.npy"
    if not kept.exists():
        vectors = np.load(folder / "gallery.npy", mmap_mode="r")
        best = np.full((len(queries), 10), -np.inf, np.float32)
        ids = np.zeros((len(queries), 10), np.int64)
        for start in range(0, len(vectors), 20_000):
            page = vectors[start : start + 20_000].astype(np.float32)
            page /= np.linalg.norm(page, axis=1, keepdims=True)
            both = np.concatenate([best, queries @ page.T], axis=1)
            numbers = np.arange(start + 1, start + 1 + len(page))
            named = np.concatenate([ids, np.broadcast_to(numbers, (len(queries), len(page)))], 1)
            order = np.argsort(-both, axis=1)[:, :10]
            best, ids = np.take_along_axis(both, order, 1), np.take_along_axis(named, order, 1)
        np.save(kept, ids)
    return np.asarray(np.load(kept))
