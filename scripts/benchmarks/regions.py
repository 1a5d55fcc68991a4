"""How often a detail finds its image, in galleries without regions and with regions.

Of every photograph a part of 1/4, 1/9 and 1/16 of its area is cut out at random, saved as a JPEG
and searched for: P@1 is how often the photograph comes first. Where photographs have labels, the
search of whole images (leave-one-out) shows what regions do to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from cbir import Gallery, Retriever, SearchResult, index_images, resolve_spec
from cbir.arrays import Vectors
from cbir.config import MULTI_CROP
from cbir.errors import CbirError
from cbir.evaluation import evaluate, from_labels
from cbir.images import open_rgb
from cbir.retrieval import Query
from cbir.sources.reading import read_uri
from scripts.benchmarks.arguments import add_sets, parser
from scripts.benchmarks.data import labelled_sets
from scripts.benchmarks.measuring import stopwatch

AREAS = (4, 9, 16)


def main(arguments: Sequence[str]) -> None:
    command = parser("regions", __doc__)
    add_sets(command)
    options = command.parse_args(arguments)
    details = "".join(f"{f'1/{area}':>8}" for area in AREAS)
    print(f"{'set':<10}{'gallery':<12}{details}{'mAP':>8}{'P@1':>8}{'seconds':>10}", flush=True)
    for name in labelled_sets(options.data, options.sets):
        compare(name, options.data / name / "labels.csv")


def compare(name: str, manifest: Path) -> None:
    """One set in two galleries; details are embedded once and searched for in both."""
    spec, weights = resolve_spec()
    details: dict[int, dict[int, Vectors]] = {}
    for title, regions in (("plain", ()), ("regions", MULTI_CROP)):
        with (
            tempfile.TemporaryDirectory() as folder,
            Gallery.create(folder, spec, weights_from=weights, regions=regions) as gallery,
        ):
            retriever = Retriever(gallery)
            retriever.warm_up()
            with stopwatch() as watch:
                index_images(manifest, gallery)
            details = details or {area: cut(retriever, area) for area in AREAS}
            found = [first(gallery, details[area]) for area in AREAS]
            show(name, title, found, judged(retriever), f"{watch.seconds:.1f}")
            if regions:
                show(name, "multi-crop", [], judged(retriever, multi_crop=True), "")


def cut(retriever: Retriever, area: int) -> dict[int, Vectors]:
    """A random part of that area of every image, embedded, by the image's id."""
    parts = {}
    for record, _ in retriever.gallery.catalog.scan():
        image = open_rgb(read_uri(record.uri))
        side = area**-0.5
        left, top = np.random.default_rng([record.id, area]).uniform(0, 1 - side, 2)
        box = np.array([left, top, left + side, top + side]) * [*image.size, *image.size]
        encoded = BytesIO()
        image.crop(tuple(box.round().astype(int).tolist())).save(encoded, "JPEG", quality=80)
        parts[record.id] = retriever.embed(encoded.getvalue())
    return parts


def first(gallery: Gallery, details: dict[int, Vectors]) -> float:
    """Share of the details whose image is the first hit."""
    found = gallery.search(np.stack(list(details.values())), 1)
    return float(np.mean(found.ids[:, 0] == list(details)))


def judged(retriever: Retriever, *, multi_crop: bool = False) -> tuple[float, float] | None:
    """mAP and P@1 of whole images; None where no two have the same label."""

    def search(query: Query, k: int) -> SearchResult:
        return retriever.search(query, k=k, multi_crop=True)

    try:
        truth = from_labels(retriever.gallery, "label")
    except CbirError:
        return None
    metrics = evaluate(
        retriever, truth, ks=(1,), timed=0, search=search if multi_crop else None
    ).metrics
    return metrics["mAP"].value, metrics["P@1"].value


def show(
    name: str, title: str, found: list[float], whole: tuple[float, float] | None, seconds: str
) -> None:
    details = "".join(f"{part:>8.3f}" for part in found) or " " * 8 * len(AREAS)
    figures = f"{'–':>8}{'–':>8}" if whole is None else f"{whole[0]:>8.3f}{whole[1]:>8.3f}"
    print(f"{name:<10}{title:<12}{details}{figures}{seconds:>10}", flush=True)
