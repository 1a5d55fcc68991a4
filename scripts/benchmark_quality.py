"""Index every labelled set in a folder three times and let `cbir evaluate` judge it.

Leave-one-out over the labels: every image is a query, images of its label are the answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CBIR = Path(sys.executable).with_name("cbir")

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


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: scripts/benchmark_quality DATA [SET...]")
    data = Path(sys.argv[1])
    names = sys.argv[2:] or sorted(path.parent.name for path in data.glob("*/labels.csv"))
    print(f"{'set':<10} {'use':<24} {'mAP':<22} {'P@1':<22} {'P@10':<22} ms a query", flush=True)
    for folder in (data / name for name in names):
        for use, (index, whiten, search) in USES.items():
            with tempfile.TemporaryDirectory() as gallery:
                run("index", folder / "labels.csv", "-g", gallery, *index)
                if whiten is not None:
                    run("whiten", "-g", gallery, *whiten)
                judged = run("evaluate", "-g", gallery, "--label", "label", *search, "--json")
            show(folder.name, use, json.loads(judged))


def run(command: str, *arguments: str | Path) -> str:
    """One command; images that cannot be read (exit code 3) do not stop the benchmark."""
    done = subprocess.run([CBIR, command, *arguments], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    return done.stdout


def show(name: str, use: str, judged: dict[str, Any]) -> None:
    cells = []
    for metric in ("mAP", "P@1", "P@10"):
        value = judged["metrics"][metric]
        cells.append(f"{value['value']:.3f} ({value['low']:.3f}-{value['high']:.3f})")
    print(f"{name:<10} {use:<24} {cells[0]:<22} {cells[1]:<22} {cells[2]:<22} "
          f"{judged['latency']['p50_ms']:.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
