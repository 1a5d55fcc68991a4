"""Registry of benchmarks by name, with the arguments that `scripts/benchmark all` gives each.

A new one is a module with `main(arguments)` and an entry here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["BENCHMARKS", "Benchmark"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark. In the arguments, DATA stands for the folder of photographs."""

    target: str
    """Its function as `module:name`, called with a list of arguments."""
    usage: str
    help: str
    options: tuple[str, ...] = ()
    """Arguments of every run."""
    full: tuple[str, ...] | None = None
    """Further arguments in a run of all benchmarks; None to leave it out of these."""
    quick: tuple[str, ...] = ()
    """Further arguments in a quick run, which only checks that the benchmarks work."""
    writes_json: bool = False
    writes_plot: bool = False

    def load(self) -> Callable[[Sequence[str]], None]:
        module, _, name = self.target.partition(":")
        function: Callable[[Sequence[str]], None] = getattr(importlib.import_module(module), name)
        return function


BENCHMARKS: dict[str, Benchmark] = {
    "startup": Benchmark(
        "scripts.benchmarks.startup:main",
        "[FOLDER]",
        "whole commands, from the shell and back",
        full=(),
    ),
    "index": Benchmark(
        "scripts.benchmarks.index:main",
        "DATA [COUNT] [--backbone NAME]... [--json FILE]",
        "whole indexing runs beside the tutorial's loop",
        full=("DATA", "1000"),
        quick=("DATA", "100"),
        writes_json=True,
    ),
    "memory": Benchmark(
        "scripts.benchmarks.index:main",
        "DATA [COUNT] [--json FILE]",
        "peak memory of indexing COUNT images and ten times as many",
        options=("--memory",),
        full=("DATA", "1000"),
        quick=("DATA", "100"),
        writes_json=True,
    ),
    "search": Benchmark(
        "scripts.benchmarks.search:main",
        "DATA [COUNT] [--kind KIND]... [--peers] [--json FILE] [--plot PNG]",
        "recall, time and memory of every kind of index, and of peers",
        full=("DATA", "100000", "--peers"),
        quick=("DATA", "10000"),
        writes_json=True,
        writes_plot=True,
    ),
    "million": Benchmark(
        "scripts.benchmarks.search:million",
        "DATA [COUNT] [the options of search]",
        "the same over a million embeddings",
        full=("DATA",),
        quick=("DATA", "20000"),
        writes_json=True,
        writes_plot=True,
    ),
    "growth": Benchmark(
        "scripts.benchmarks.growth:main",
        "DATA [--largest COUNT] [--json FILE] [--plot PNG]",
        "time and memory of indexing and of searching, as galleries grow",
        full=("DATA",),
        quick=("DATA", "--largest", "10000"),
        writes_json=True,
        writes_plot=True,
    ),
    "rerank": Benchmark(
        "scripts.benchmarks.rerank:main",
        "",
        "reranking 50 candidates, with stored descriptors and without",
        full=(),
    ),
    "similarity": Benchmark(
        "scripts.benchmarks.similarity:main",
        "",
        "the pairwise measures, SSIM beside scikit-image's",
        full=(),
    ),
    "catalog": Benchmark(
        "scripts.benchmarks.catalog:main",
        "[IMAGES] [DIMENSION]",
        "rows with embeddings into the catalogue, out of it and looked up",
        full=(),
        quick=("20000",),
    ),
    "sync": Benchmark(
        "scripts.benchmarks.sync:main",
        "[IMAGES]",
        "a gallery that follows its source, when nothing and when little has changed",
        full=(),
        quick=("2000",),
    ),
    "recommend": Benchmark(
        "scripts.benchmarks.recommend:main",
        "[IMAGES] [SOURCE]",
        "recommendations for every image of a large gallery",
        full=("100000",),
        quick=("2000",),
    ),
    "peers": Benchmark(
        "scripts.benchmarks.peers:main",
        "DATA [COUNT] [--peer NAME]... [--home DIR] [--json FILE]",
        "other libraries and ours on the same photographs and the same network",
        full=("DATA", "1000"),
        quick=("DATA", "50"),
        writes_json=True,
    ),
    "gpu": Benchmark(
        "scripts.benchmarks.gpu:main",
        "DATA [--backbone NAME] [--precision P] [--images N] [--device D] [--json FILE]",
        "how fast a GPU embeds, and what holds it up",
        full=("DATA",),
        quick=("DATA",),
        writes_json=True,
    ),
    "confidence": Benchmark(
        "scripts.benchmarks.confidence:main",
        "DATA [SET]...",
        "how often a match is reported, of what is absent and of what is there",
    ),
    "duplicates": Benchmark(
        "scripts.benchmarks.duplicates:main",
        "PHOTOGRAPHS [--distinct FOLDER]... [--no-verify] [--scale IMAGES] [--json]",
        "near-duplicates found and mistaken; or the time of a large gallery",
    ),
    "page": Benchmark(
        "scripts.benchmarks.page:main",
        "FOLDER [GALLERY]",
        "from an image's drop on the page to the first result; needs Chromium",
    ),
    "quality": Benchmark(
        "scripts.benchmarks.quality:main",
        "DATA [SET]...",
        "how well labelled sets are searched, plain and with the documented flags",
    ),
    "regions": Benchmark(
        "scripts.benchmarks.regions:main",
        "DATA [SET]...",
        "how often a detail finds its photograph, without regions and with them",
    ),
    "server": Benchmark(
        "scripts.benchmarks.server:main",
        "FOLDER [GALLERY]",
        "searches a second over HTTP, by upload and by id",
    ),
    "transfer": Benchmark(
        "scripts.benchmarks.transfer:main",
        "[IMAGES] [DIMENSION]",
        "export and import of a gallery, rates and memory",
    ),
}
