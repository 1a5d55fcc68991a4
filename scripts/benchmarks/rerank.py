"""Time to rerank 50 candidates, on photographs that come with scikit-image.

The gallery compares tiny images, so that no network is needed; the time to rerank does not depend
on it. `first` is a search whose candidates have no stored descriptors yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.config import available_cores
from cbir.reranking import RERANKERS, open_reranker
from scripts.benchmarks.arguments import parser
from scripts.examples.photographs import write_demo_gallery

CANDIDATES = 50
QUERIES = 20


def main(arguments: Sequence[str]) -> None:
    parser("rerank", __doc__).parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_demo_gallery(Path(folder) / "images")
        spec, _ = resolve_spec("tiny_image")
        with Gallery.create(Path(folder) / "gallery", spec) as gallery:
            index_images(manifest, gallery)
            print(f"{gallery.count()} images, {CANDIDATES} candidates, {available_cores()} cores")
            print(f"{'':12}{'first':>10}{'fastest':>10}{'median':>10}{'stored':>12}")
            for method in RERANKERS:
                report(method, gallery)


def report(method: str, gallery: Gallery) -> None:
    retriever = Retriever(gallery)
    reranker = open_reranker(method, gallery, depth=CANDIDATES)
    ids = [record.id for record, _ in gallery.catalog.scan()]
    queries = ids[:: max(1, len(ids) // QUERIES)]
    # A network and an index that open, or OpenCV, are no part of what is timed.
    retriever.search(queries[0], k=1, rerank=open_reranker(method, gallery, depth=1))
    times = []
    for query in (queries[0], *queries, *queries):
        result = retriever.search(query, rerank=reranker)
        times.append(result.timings_ms["rerank"])
    first, again = times[0], times[-len(queries) :]
    stored = gallery.catalog.descriptors(ids, {"ssim": "grey"}.get(method, method))
    size = sum(map(len, stored.values())) / max(1, len(stored)) / 1000
    print(
        f"{method:12}{first:>7.0f} ms{min(again):>7.0f} ms{median(again):>7.0f} ms"
        + (f"{size:>9.0f} kB" if stored else f"{'–':>12}")
    )
