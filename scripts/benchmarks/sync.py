"""Whole `cbir index --prune` runs over many small files: nothing changed, then a little of all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.arguments import parser
from scripts.benchmarks.data import draw_pictures
from scripts.benchmarks.measuring import CBIR, run_process

CHANGED = 100
"""Images removed, as many moved and as many added."""


def main(arguments: Sequence[str]) -> None:
    command = parser("sync", __doc__)
    command.add_argument("images", type=int, nargs="?", default=100_000)
    count = command.parse_args(arguments).images
    with tempfile.TemporaryDirectory() as name:
        photos, gallery = Path(name) / "photos", Path(name) / "gallery"
        draw_pictures(photos, 0, count)
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
        draw_pictures(photos / "new", count, count + CHANGED)
        timed(f"{CHANGED} removed, moved and added each", photos, gallery, "--prune")


def timed(what: str, photos: Path, gallery: Path, *options: str) -> None:
    run = run_process([*CBIR, "index", photos, "-g", gallery, *options, "--json"])
    report = json.loads(run.output)
    counts = ("added", "updated", "moved", "removed", "unchanged")
    told = "   ".join(f"{name} {report[name]:,}" for name in counts if report.get(name))
    print(f"{what:<36} {run.seconds:>7.1f} s   {told}", flush=True)
