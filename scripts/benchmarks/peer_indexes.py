"""Runs the same queries in other index libraries, in a separate environment."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EFS, USUAL_EF = (16, 32, 64, 128, 256, 512), 128
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


Peer = tuple[float, Callable[[int], object], Callable[[np.ndarray], Any]]
"""Seconds to reopen, what sets the search's breadth, and the search."""


def hnswlib_index(vectors: np.ndarray, path: str) -> Peer:
    import hnswlib

    index = hnswlib.Index("cosine", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=200)
    index.set_num_threads(THREADS)
    index.add_items(vectors, np.arange(len(vectors)))
    index.save_index(path)
    index = hnswlib.Index("cosine", vectors.shape[1])
    started = time.perf_counter()
    index.load_index(path)
    reopen = time.perf_counter() - started
    index.set_num_threads(1)
    return reopen, index.set_ef, lambda query: index.knn_query(query, 10)[0][0]


def usearch_index(vectors: np.ndarray, path: str) -> Peer:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="cos", dtype="f16")
    index.add(np.arange(len(vectors)), vectors, threads=THREADS)
    index.save(path)
    started = time.perf_counter()
    index = Index.restore(path)
    reopen = time.perf_counter() - started
    return (
        reopen,
        lambda ef: setattr(index, "expansion_search", ef),
        lambda query: index.search(query, 10).keys,
    )


def main() -> None:
    peer, folder = sys.argv[1], Path(sys.argv[2])
    vectors = np.load(folder / "gallery.npy").astype(np.float32)
    queries = np.load(folder / "queries.npy").astype(np.float32)
    make = {"hnswlib": hnswlib_index, "usearch": usearch_index}[peer]
    started = time.perf_counter()
    reopen, set_ef, search = make(vectors, str(folder / peer))
    build = time.perf_counter() - started - reopen
    del vectors
    truth, curve = np.load(folder / "truth.npy"), []
    for ef in (*EFS, USUAL_EF):
        set_ef(ef)
        times, rows = [], []
        search(queries[0])
        for query in queries:
            started = time.perf_counter()
            rows.append(np.asarray(search(query)) + 1)
            times.append(1000 * (time.perf_counter() - started))
        recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, truth, strict=True)])
        p50, p95 = np.percentile(times, [50, 95])
        curve.append((recall, p50))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    print(json.dumps({"recall": recall, "p50": p50, "p95": p95, "build": build,
                      "reopen": reopen, "memory": memory,
                      "curve": curve[:-1]}))  # fmt: skip


if __name__ == "__main__":
    main()
