"""Compares cbir with other libraries for image search, on the same photographs with a ResNet-50.

Every peer is installed into an environment of its own, which sees our torch; nothing of it comes
into ours. Downloading weights is the one thing that is taken from a peer: it is given random
numbers instead. A peer that cannot be installed, or fails, is listed with its error.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks.arguments import add_data, add_json, parser
from scripts.benchmarks.data import link, photographs, random_weights
from scripts.benchmarks.measuring import CBIR, SOME_UNREADABLE, last_json, processor, seconds_of
from scripts.benchmarks.tables import Table

QUERIES = 100
STARTS = 5
"""Runs of cbir, whose start is so short that it varies: the median counts."""
LIMIT = 1800
"""Most seconds that a library may take."""
PEERS = {
    "imagededup": ["imagededup"],
    "img2vec_pytorch": ["img2vec_pytorch"],
    "DeepImageSearch": ["DeepImageSearch<3", "faiss-cpu"],
    "clip_retrieval": ["clip-retrieval", "setuptools<81"],
}
"""Modules and what pip installs for them."""
TABLE = Table({
    "": "<22", "images/s": "9.1f", "ours": "5.1f×", "first answer s": "15.2f", "ours ": "5.1f×",
    "query ms": "9.1f",
})  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    command = parser("peers", __doc__)
    add_data(command)
    command.add_argument("count", type=int, nargs="?", default=1000)
    command.add_argument("--home", type=Path, help="keeps the peers' environments")
    command.add_argument("--peer", action="append", choices=list(PEERS))
    add_json(command)
    options = command.parse_args(arguments)
    found: dict[str, Any] = {"processor": processor(), "images": options.count, "peers": {}}
    print(f"{options.count:,} photographs, {QUERIES} queries, resnet50, {found['processor']}")
    TABLE.print_header()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = link(photographs(options.data, options.count), folder / "photos")
        weights = random_weights("resnet50", folder)
        ours = {p: measure_ours(photos, folder, weights, p) for p in ("default", "int8")}
        for precision, one in ours.items():
            found["peers"][f"cbir {precision}"] = one
            show(f"cbir, {precision}", one, ours["default"])
        for peer in options.peer or PEERS:
            try:
                python = environment(options.home or folder / "environments", peer)
                figures: dict[str, Any] = measure_peer(python, peer, photos, folder)
            except RuntimeError as error:
                figures = {"error": str(error)}
            found["peers"][peer] = figures
            show(peer, figures, ours["default"])
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def show(name: str, one: dict[str, Any], ours: dict[str, Any]) -> None:
    if "error" in one:
        print(f"{name:<22} {one['error']}", flush=True)
        return
    rate, first = ours["rate"] / one["rate"], one["first"] / ours["first"]
    TABLE.print_row(name, one["rate"], rate, one["first"], first, one["query_ms"])


def measure_ours(photos: Path, folder: Path, weights: str, precision: str) -> dict[str, float]:
    """Whole commands; each query's time is that of a search in one process.

    Before that, a few photographs are indexed and one is looked for: the network is exported,
    calibrated for int8 and compiled once.
    """
    chosen = ["--precision", "auto" if precision == "default" else precision]
    chosen += ["--backbone", "resnet50", *(["--weights", weights] if weights else [])]
    few = link(sorted(photos.iterdir())[:64], folder / "few")
    gallery = folder / f"ours-{precision}"
    run([*CBIR, "index", few, "-g", gallery, *chosen])
    run([*CBIR, "search", min(few.iterdir()), "-g", gallery])
    seconds = seconds_of(lambda: run([*CBIR, "index", photos, "-g", gallery, *chosen]))
    query = min(photos.iterdir())
    first = statistics.median(answered(query, gallery) for _ in range(STARTS))
    count = len(list(photos.iterdir()))
    return {"rate": count / seconds, "first": first, "query_ms": query_ms(photos, gallery)}


def answered(query: Path, gallery: Path) -> float:
    """Seconds from a process's start until its answer is there; as of a peer, its end is not."""
    started = time.perf_counter()
    command = [*CBIR, "search", str(query), "-g", str(gallery)]
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unbuffered) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("embedded"):  # the last one
                return time.perf_counter() - started
    raise RuntimeError(f"no answer, exit code {process.returncode}")


def query_ms(photos: Path, gallery: Path) -> float:
    from cbir import Gallery, Retriever

    with Gallery.open(gallery) as opened:
        retriever = Retriever(opened)
        retriever.warm_up()
        started = time.perf_counter()
        for path in sorted(photos.iterdir())[:QUERIES]:
            retriever.search(path, k=10)
        return 1000 * (time.perf_counter() - started) / QUERIES


def environment(home: Path, peer: str) -> Path:
    """The interpreter of an environment that has the peer. Raises RuntimeError."""
    python = (home / peer / "bin" / "python").absolute()
    if not (home / peer / "done").exists():
        run([sys.executable, "-m", "venv", home / peer])
        # It sees our torch behind its own packages: the same build for all, and no second download.
        base = {"base": str(home / peer)}
        own = Path(sysconfig.get_path("purelib", vars=base))
        (own / "torch.pth").write_text(sysconfig.get_path("purelib") + "\n")
        run([python, "-m", "pip", "install", "--quiet", *PEERS[peer]])
        (home / peer / "done").touch()
    return python


def measure_peer(python: Path, peer: str, photos: Path, folder: Path) -> dict[str, float]:
    """In its own environment and an empty home. Raises RuntimeError with the peer's last words."""
    home = folder / f"home-{peer}"
    home.mkdir()
    script = Path(__file__).with_name("peer_libraries.py").resolve()
    environment = {"HOME": str(home), "PATH": os.defpath, "HF_HUB_OFFLINE": "1"}
    output = run([python, script, peer, photos, str(QUERIES)], cwd=home, env=environment)
    return dict(last_json(output))


def run(command: list[Any], **options: Any) -> str:
    """What a command prints. Raises RuntimeError with the last line that says what is wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, **options)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"took more than {LIMIT} s") from None
    if done.returncode not in (0, SOME_UNREADABLE):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(lines[-1][:160] if lines else f"exit code {done.returncode}")
    return str(done.stdout)
