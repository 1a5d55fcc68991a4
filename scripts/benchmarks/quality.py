"""Retrieval quality: indexes every labelled set of a folder three times and evaluates each.

Leave-one-out over the labels: every image is a query, images of its label are the answers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from typing import Any

from scripts.benchmarks.arguments import add_sets, parser
from scripts.benchmarks.data import labelled_sets
from scripts.benchmarks.measuring import run_cbir

# What to index with, how to compare, how to search: one choice per use, not per set.
USES: dict[str, tuple[list[str], list[str] | None, list[str]]] = {
    "plain": ([], None, []),
    "same object": ([], [], ["--rerank", "sift"]),
    "same kind": (
        ["--backbone", "efficientnet_lite2", "--whole", "--flip"],
        [],
        ["--rerank", "sift"],
    ),
}


def main(arguments: Sequence[str]) -> None:
    command = parser("quality", __doc__)
    add_sets(command)
    options = command.parse_args(arguments)
    print(f"{'set':<10} {'use':<24} {'mAP':<22} {'P@1':<22} {'P@10':<22} ms a query", flush=True)
    for name in labelled_sets(options.data, options.sets):
        manifest = options.data / name / "labels.csv"
        for use, (index, whiten, search) in USES.items():
            with tempfile.TemporaryDirectory() as gallery:
                run_cbir("index", manifest, "-g", gallery, *index)
                if whiten is not None:
                    run_cbir("whiten", "-g", gallery, *whiten)
                judging = ("evaluate", "-g", gallery, "--label", "label", *search, "--json")
                judged = json.loads(run_cbir(*judging).output)
            show(name, use, judged)


def show(name: str, use: str, judged: dict[str, Any]) -> None:
    cells = []
    for metric in ("mAP", "P@1", "P@10"):
        value = judged["metrics"][metric]
        cells.append(f"{value['value']:.3f} ({value['low']:.3f}-{value['high']:.3f})")
    print(f"{name:<10} {use:<24} {cells[0]:<22} {cells[1]:<22} {cells[2]:<22} "
          f"{judged['latency']['p50_ms']:.0f}", flush=True)  # fmt: skip
