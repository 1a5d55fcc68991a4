"""Time whole commands: process start, imports, work and exit."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.arguments import parser
from scripts.benchmarks.measuring import CBIR, run_process
from scripts.examples.photographs import PHOTOGRAPHS, load, views

IMAGES = 1000
RUNS = 7


def main(arguments: Sequence[str]) -> None:
    command = parser("startup", __doc__)
    command.add_argument(
        "folder", type=Path, nargs="?", help="of photographs, instead of the demo's"
    )
    options = command.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        photos = options.folder or write_photos(Path(folder) / "photos")
        query = min(path for path in photos.rglob("*") if path.suffix == ".jpg")
        gallery = str(Path(folder) / "gallery")
        print(f"{'command':<44} {'median':>8} {'fastest':>8}   of {RUNS} runs")
        timed("import of torch and torchvision, to compare", sys.executable, "-c",
              "import torch, torchvision")  # fmt: skip
        once = run_process([*CBIR, "index", photos, "-g", gallery])
        print(f"{'cbir index, once':<44} {once.seconds:>6.2f} s")
        timed("cbir index, nothing new", *CBIR, "index", photos, "-g", gallery)
        timed("cbir --help", *CBIR, "--help")
        timed("cbir search FILE", *CBIR, "search", query, "-g", gallery)
        timed("cbir search id:1", *CBIR, "search", "id:1", "-g", gallery)


def write_photos(folder: Path) -> Path:
    """1,000 files: the demo's views, each several times under another name."""
    folder.mkdir()
    encoded = [data for name in PHOTOGRAPHS for _, data in views(load(name))]
    for number in range(IMAGES):
        (folder / f"{number:04d}.jpg").write_bytes(encoded[number % len(encoded)])
    return folder


def timed(what: str, *command: str | Path) -> None:
    seconds = [run_process(command).seconds for _ in range(RUNS)]
    print(f"{what:<44} {statistics.median(seconds):>6.2f} s {min(seconds):>6.2f} s", flush=True)
