"""Whole `cbir index --prune` runs over many small files: nothing changed, then a little of all."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CBIR = Path(sys.executable).with_name("cbir")
PER_FOLDER = 1000
CHANGED = 100
"""Images removed, as many moved and as many added."""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        photos, gallery = Path(name) / "photos", Path(name) / "gallery"
        draw(photos, 0, count)
        print(f"{count:,} files of 8 by 8 pixels")
        timed("indexed for the first time", photos, gallery, "--backbone", "tiny_image")
        timed("nothing changed", photos, gallery)
        timed("nothing changed, --prune", photos, gallery, "--prune")
        timed("nothing changed, --prune --dry-run", photos, gallery, "--prune", "--dry-run")
        files = sorted((photos / "0").iterdir())
        for file in files[:CHANGED]:
            file.unlink()
        for file in files[CHANGED : 2 * CHANGED]:
            file.rename(photos / f"moved-{file.name}")
        draw(photos / "new", count, count + CHANGED)
        timed(f"{CHANGED} removed, moved and added each", photos, gallery, "--prune")


def draw(folder: Path, start: int, end: int) -> None:
    """Pictures that all differ."""
    for number in range(start, end):
        if number % PER_FOLDER == 0 or number == start:
            (folder / str(number // PER_FOLDER)).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        path = folder / str(number // PER_FOLDER) / f"{number:07}.png"
        path.write_bytes(encoded.getvalue())


def timed(what: str, photos: Path, gallery: Path, *options: str) -> None:
    command = [CBIR, "index", photos, "-g", gallery, *options, "--json"]
    started = time.perf_counter()
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    said = json.loads(run.stdout)
    counts = ("added", "updated", "moved", "removed", "unchanged")
    told = "   ".join(f"{name} {said[name]:,}" for name in counts if said.get(name))
    print(f"{what:<36} {seconds:>7.1f} s   {told}", flush=True)


if __name__ == "__main__":
    main()
