"""How fast and how completely the vector indexes find the nearest of many real embeddings.

Queries are embeddings held out of the gallery. Every kind runs in a process of its own, so that
its memory is its own: a gallery's catalogue is filled, the index built, reopened, searched one
query at a time, added to and removed from.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch, FileState, ImageRow
from cbir.config import EmbeddingSpec, GalleryConfig, Preprocessing
from cbir.indexes import hnsw, pq
from cbir.indexes.local import LocalIndex
from cbir.indexes.registry import IndexPlace

QUERIES = 200
ADDED = 1000
CURVES: dict[str, list[tuple[Any, str, tuple[int, ...]]]] = {
    "pq": [(pq, "CANDIDATES", (25, 50, 100, 200, 400, 800, 1600))],
    "hnsw": [(hnsw, "EF_SEARCH", (16, 32, 64, 128, 256))],
}
"""What trades recall for time: the constant, and the values that are tried."""
PEERS = {"hnswlib": "hnswlib", "usearch": "usearch"}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]))))
        return
    from benchmark_embeddings import embeddings

    parser = argparse.ArgumentParser(prog="scripts/benchmark_search")
    parser.add_argument("data", type=Path, help="a folder of photographs")
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    parser.add_argument("--kind", action="append", choices=["flat", "pq", "hnsw", "ivf"])
    parser.add_argument("--peers", action="store_true", help="hnswlib and usearch, too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="recall against time and memory")
    asked = parser.parse_args()
    count, results = asked.count, dict[str, Any]()

    def note(kind: str, found: dict[str, Any]) -> None:
        results[kind] = found
        show(kind, found)
        if asked.json:  # after each: the next may take long
            asked.json.write_text(json.dumps({"count": count, "kinds": results}, indent=1))

    vectors = embeddings(asked.data, QUERIES + ADDED + count)
    kinds = asked.kind or (["flat", "pq", "hnsw"] if count <= 200_000 else ["flat", "pq"])
    with tempfile.TemporaryDirectory(dir="index_data") as name:
        folder = Path(name)
        # What is searched is real at every size, and nothing of it is in the gallery.
        queries, added, gallery = np.split(vectors, [QUERIES, QUERIES + ADDED])
        np.save(folder / "queries.npy", queries)
        np.save(folder / "added.npy", added)
        np.save(folder / "gallery.npy", gallery)
        fill(folder, gallery)
        del vectors, queries, added, gallery
        print(f"{count:,} embeddings of 1280 dimensions, {QUERIES} queries, 10 neighbours")
        print(
            f"{'index':<10} {'recall@10':>9} {'p50 ms':>8} {'p95 ms':>8} {'build s':>8} "
            f"{'reopen s':>8} {'add 1,000 s':>11} {'remove s':>8} {'memory MB':>9}"
        )
        for kind in kinds:
            note(kind, one(sys.executable, __file__, kind, folder))
        if asked.peers:
            python = peers()
            script = Path(__file__).with_name("benchmark_search_peers.py")
            for peer in PEERS:
                note(peer, one(python, script, peer, folder))
    if asked.plot:
        from benchmark_plots import search_plot

        search_plot(results, count, asked.plot)


def one(python: str, script: str | Path, kind: str, folder: Path) -> dict[str, Any]:
    command = [python, script, "--one", kind, folder]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def show(name: str, found: dict[str, Any]) -> None:
    def cell(key: str, width: int, digits: int) -> str:
        return f"{found[key]:>{width},.{digits}f}" if key in found else " " * (width - 1) + "–"

    print(
        f"{name:<10} {cell('recall', 9, 4)} {cell('p50', 8, 2)} {cell('p95', 8, 2)} "
        f"{cell('build', 8, 1)} {cell('reopen', 8, 2)} {cell('add', 11, 2)} "
        f"{cell('remove', 8, 2)} {cell('memory', 9, 0)}",
        flush=True,
    )


def peers() -> str:
    """The interpreter of an environment that has the peers, made once."""
    home = Path("index_data/benchmark/peers")
    if not (home / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        install = [home / "bin/pip", "install", "--quiet", "numpy", *PEERS.values()]
        subprocess.run(install, check=True)
        (home / "done").touch()
    return str(home / "bin/python")


def fill(folder: Path, vectors: np.ndarray) -> None:
    spec = EmbeddingSpec("benchmark", "none", "none", vectors.shape[1], Preprocessing(32, 32))
    catalog = Catalog.create(f"sqlite:///{folder}/catalog.sqlite", GalleryConfig(spec))
    write(catalog, vectors, 0)
    catalog.close()


def write(catalog: Catalog, vectors: np.ndarray, first: int) -> None:
    for start in range(0, len(vectors), 2000):
        rows = [
            ImageRow(
                key=f"/{first + start + i}",
                uri=f"/{first + start + i}",
                name="",
                state=FileState(1, 1),
                content_hash=bytes(16),
                width=1,
                height=1,
                metadata={},
                embedding=vector,
            )
            for i, vector in enumerate(vectors[start : start + 2000].astype(np.float32))
        ]
        catalog.write("/benchmark", Batch(images=rows))


def measure(kind: Any, folder: Path) -> dict[str, Any]:
    """Everything about one kind of ours; the catalogue is left as it was."""
    catalog = Catalog.open(f"sqlite:///{folder}/catalog.sqlite")
    queries = np.load(folder / "queries.npy").astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    dim, found = queries.shape[1], dict[str, Any]()
    files = folder / f"vectors-{kind}"
    catalog.set_config(replace(catalog.config, index=kind))
    index = LocalIndex(IndexPlace(files, dim))
    found["build"] = seconds(lambda: index.catch_up(catalog))
    index.close()
    index = LocalIndex(IndexPlace(files, dim))
    found["reopen"] = seconds(lambda: index.catch_up(catalog))
    assert index.kind == kind
    found.update(answer(index, queries))
    found["memory"] = resident_mb()
    truth = exact(folder, queries)
    found["recall"] = recall(found.pop("rows"), truth)
    found["curve"] = []
    for owner, name, settings in CURVES.get(kind, []):
        usual = getattr(owner, name)
        for setting in settings:
            setattr(owner, name, setting)
            point = answer(index, queries)
            found["curve"].append((recall(point["rows"], truth), point["p50"]))
        setattr(owner, name, usual)
    count = catalog.count()
    write(catalog, np.load(folder / "added.npy"), count)
    found["add"] = seconds(lambda: index.catch_up(catalog))
    assert index.count() == count + ADDED
    catalog.remove(index.ids()[-ADDED:].tolist())
    found["remove"] = seconds(lambda: index.catch_up(catalog))
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


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def resident_mb() -> float:
    """Resident memory of this process now; its peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
