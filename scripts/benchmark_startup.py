"""Time whole commands: process start, imports, work and exit."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from demo_images import PHOTOGRAPHS, load, views

IMAGES = 1000
RUNS = 7
CBIR = Path(sys.executable).with_name("cbir")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(sys.argv[1]) if len(sys.argv) > 1 else write_photos(Path(folder) / "photos")
        query = min(path for path in photos.rglob("*") if path.suffix == ".jpg")
        gallery = str(Path(folder) / "gallery")
        print(f"{'command':<44} {'median':>8} {'fastest':>8}   of {RUNS} runs")
        timed("import of torch and torchvision, to compare", sys.executable, "-c",
              "import torch, torchvision")  # fmt: skip
        started = time.perf_counter()
        subprocess.run([CBIR, "index", photos, "-g", gallery], check=True, capture_output=True)
        print(f"{'cbir index, once':<44} {time.perf_counter() - started:>6.2f} s")
        timed("cbir index, nothing new", CBIR, "index", photos, "-g", gallery)
        timed("cbir --help", CBIR, "--help")
        timed("cbir search FILE", CBIR, "search", query, "-g", gallery)
        timed("cbir search id:1", CBIR, "search", "id:1", "-g", gallery)


def write_photos(folder: Path) -> Path:
    """1,000 files: the demo's views, each several times under another name."""
    folder.mkdir()
    encoded = [data for name in PHOTOGRAPHS for _, data in views(load(name))]
    for number in range(IMAGES):
        (folder / f"{number:04d}.jpg").write_bytes(encoded[number % len(encoded)])
    return folder


def timed(what: str, *command: str | Path) -> None:
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    print(f"{what:<44} {statistics.median(seconds):>6.2f} s {min(seconds):>6.2f} s", flush=True)


if __name__ == "__main__":
    main()
