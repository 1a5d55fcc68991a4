"""Runs all benchmarks one after another, each in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks import BENCHMARKS
from scripts.benchmarks.arguments import add_data, add_json, parser
from scripts.benchmarks.measuring import module_environment, processor

USUAL = [name for name, benchmark in BENCHMARKS.items() if benchmark.full is not None]


def main(arguments: Sequence[str]) -> None:
    command = parser("all", __doc__)
    add_data(command)
    command.add_argument("--only", action="append", choices=USUAL, metavar="NAME",
                         help=f"one of {', '.join(USUAL)}; may be repeated")  # fmt: skip
    command.add_argument("--quick", action="store_true", help="few images: whether it works")
    add_json(command)
    command.add_argument("--plots", type=Path, metavar="DIR")
    options = command.parse_args(arguments)
    results: dict[str, Any] = {"processor": processor()}
    failed = []
    print(results["processor"])
    for name in options.only or USUAL:
        print(f"\n{name}", flush=True)
        results[name] = run(name, options.data, quick=options.quick, plots=options.plots)
        if results[name]["exit code"]:
            failed.append(name)
        if options.json:  # what is measured stays, whatever becomes of the next
            options.json.write_text(json.dumps(results, indent=1))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, data: Path, *, quick: bool, plots: Path | None) -> dict[str, Any]:
    """Run one benchmark: prints its lines as they come, and returns its figures if it writes
    JSON."""
    benchmark = BENCHMARKS[name]
    chosen = (benchmark.quick if quick else benchmark.full) or ()
    arguments = [str(data) if word == "DATA" else word for word in chosen]
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        if benchmark.writes_json:
            arguments += ["--json", str(figures)]
        if benchmark.writes_plot and plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
            arguments += ["--plot", str(plots / f"{name}.png")]
        command = [sys.executable, "-m", "scripts.benchmarks", name, *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=module_environment()
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
        code = process.wait()
        measured = json.loads(figures.read_text()) if figures.exists() else None
    return {"exit code": code, "printed": lines, "measured": measured}
