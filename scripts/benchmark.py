"""All benchmarks one after another, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark_index import processor

SCRIPTS: dict[str, tuple[str, list[str], list[str]]] = {
    "startup": ("benchmark_startup", [], []),
    "index": ("benchmark_index", ["DATA", "1000"], ["DATA", "100"]),
    "memory": ("benchmark_index", ["DATA", "1000", "--memory"], ["DATA", "100", "--memory"]),
    "search": ("benchmark_search", ["DATA", "100000", "--peers"], ["DATA", "10000"]),
    "million": ("benchmark_search", ["DATA", "1000000"], ["DATA", "20000"]),
    "growth": ("benchmark_growth", ["DATA"], ["DATA", "--largest", "10000"]),
    "rerank": ("benchmark_rerank", [], []),
    "similarity": ("benchmark_similarity", [], []),
    "catalog": ("benchmark_catalog", [], ["20000"]),
    "sync": ("benchmark_sync", [], ["2000"]),
    "recommend": ("benchmark_recommend", ["100000"], ["2000"]),
    "peers": ("benchmark_peers", ["DATA", "1000"], ["DATA", "50"]),
    "gpu": ("benchmark_gpu", ["DATA"], ["DATA"]),
}
"""The script, its arguments, and those of a quick look. DATA stands for the folder."""
HAVE_JSON = {"index", "memory", "search", "million", "growth", "peers", "gpu"}
HAVE_PLOT = {"search", "million", "growth"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument("data", type=Path, help="a folder of photographs")
    parser.add_argument("--only", action="append", choices=list(SCRIPTS), metavar="NAME",
                        help=f"one of {', '.join(SCRIPTS)}; may be repeated")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="few images: whether it works")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plots", type=Path, metavar="DIR")
    asked = parser.parse_args()
    found: dict[str, Any] = {"processor": processor()}
    failed = []
    print(found["processor"])
    for name in asked.only or SCRIPTS:
        print(f"\n{name}", flush=True)
        found[name] = run(name, asked.data, quick=asked.quick, plots=asked.plots)
        if found[name]["exit code"]:
            failed.append(name)
        if asked.json:  # what is measured stays, whatever becomes of the next
            asked.json.write_text(json.dumps(found, indent=1))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, data: Path, *, quick: bool, plots: Path | None) -> dict[str, Any]:
    """What a script prints, shown as it comes, and what it measured, where it says so as JSON."""
    script, usual, few = SCRIPTS[name]
    arguments = [str(data) if word == "DATA" else word for word in (few if quick else usual)]
    path = Path(__file__).with_name(f"{script}.py")
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "found.json"
        if name in HAVE_JSON:
            arguments += ["--json", str(said)]
        if name in HAVE_PLOT and plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
            arguments += ["--plot", str(plots / f"{name}.png")]
        command = [sys.executable, path, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
        code = process.wait()
        measured = json.loads(said.read_text()) if said.exists() else None
    return {"exit code": code, "printed": lines, "measured": measured}


if __name__ == "__main__":
    main()
