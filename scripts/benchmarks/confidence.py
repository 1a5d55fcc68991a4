"""How often a search reports a match, for objects that the gallery has and for ones it lacks.

Absent: every label is taken out of its set, and its images ask what is left. Present: every image
asks all others, if one of them has its label. In a set where none has, an altered version of each
image (a part of it, turned, in other light) asks the whole set.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.catalog.rows import Batch, ImageRow
from cbir.config import Whitening
from cbir.evaluation.alteration import altered
from cbir.images import open_rgb
from cbir.retrieval.confidence import scale_of
from cbir.sources.reading import read_uri
from cbir.types import Word
from scripts.benchmarks.arguments import add_sets, parser
from scripts.benchmarks.data import labelled_sets

SAME: Word = "very likely the same object"
WHITENINGS = {"plain": None, "whitened": Whitening()}


def main(arguments: Sequence[str]) -> None:
    command = parser("confidence", __doc__)
    add_sets(command)
    options = command.parse_args(arguments)
    print(f"{'':<20} {'absent, %':>22}   {'present, %':>22}")
    print(f"{'set':<10} {'compared':<9} {'queries  match  same':>22}   "
          f"{'queries  match  same  right':>28}", flush=True)  # fmt: skip
    for name in labelled_sets(options.data, options.sets):
        with tempfile.TemporaryDirectory() as folder:
            spec, weights_from = resolve_spec()
            with Gallery.create(Path(folder) / "all", spec, weights_from=weights_from) as gallery:
                index_images(options.data / name / "labels.csv", gallery)
                for compared, whitening in WHITENINGS.items():
                    if whitening is not None:
                        gallery.whiten(whitening)
                    show(name, compared, absent(gallery, whitening), present(gallery))


def absent(whole: Gallery, whitening: Whitening | None) -> list[Word | None]:
    """Confidence of the best hit for each image, with the images of its label removed."""
    rows, labels = contents(whole)
    words: list[Word | None] = []
    for label in np.unique(labels):
        with (
            tempfile.TemporaryDirectory() as folder,
            Gallery.create(Path(folder) / "rest", whole.spec) as rest,
        ):
            others = [row for row, own in zip(rows, labels, strict=True) if own != label]
            rest.write("benchmark", Batch(images=others))
            if whitening is not None:
                rest.whiten(whitening)
            asked = [row for row, own in zip(rows, labels, strict=True) if own == label]
            words += judged(rest, np.stack([row.embedding for row in asked]))
    return words


def judged(gallery: Gallery, vectors: np.ndarray) -> Iterator[Word | None]:
    """Confidence of the best hit for each of these embeddings, (Q, D)."""
    best = gallery.search(vectors, 1).similarities[:, 0].tolist()
    for vector, similarity in zip(vectors, best, strict=True):
        scale = scale_of(gallery, vector[None])
        yield None if scale is None else scale.confidence(similarity).word


def present(gallery: Gallery) -> list[tuple[Word | None, bool]]:
    """Confidence of the best hit for each image with others of its label, and whether it is
    right."""
    retriever = Retriever(gallery)
    records = [record for record, _ in gallery.catalog.scan()]
    labels = [record.metadata["label"] for record in records]
    grouped = len(set(labels)) < len(labels)
    found = []
    for record, label in zip(records, labels, strict=True):
        if grouped and labels.count(label) == 1:
            continue
        own = record.id if grouped else altered(open_rgb(read_uri(record.uri)), seed=record.id)
        (hit,) = retriever.search(own, k=1).hits
        word = None if hit.confidence is None else hit.confidence.word
        found.append((word, hit.image.metadata["label"] == label))
    return found


def contents(gallery: Gallery) -> tuple[list[ImageRow], np.ndarray]:
    """All images of a gallery as they were written, and their labels (N,)."""
    known = list(gallery.catalog.scan())
    vectors = gallery.catalog.embeddings([record.id for record, _ in known])
    rows = [
        ImageRow(
            image.key, image.uri, image.name, image.version, image.content_hash,
            record.width, record.height, image.metadata, vectors[record.id],
        )
        for record, image in known
    ]  # fmt: skip
    return rows, np.array([str(record.metadata["label"]) for record, _ in known])


def show(
    name: str,
    compared: str,
    lacking: Sequence[Word | None],
    held: Sequence[tuple[Word | None, bool]],
) -> None:
    words = [word for word, _ in held]
    right = [right for word, right in held if word not in (None, "weak")]
    print(f"{name:<10} {compared:<9} {len(lacking):>7}  {share(lacking)}   {len(held):>7}  "
          f"{share(words)}  {100 * float(np.mean(right)) if right else np.nan:5.1f}",
          flush=True)  # fmt: skip


def share(words: Sequence[Word | None]) -> str:
    """Percentage of hits that are a match, and that are the same object."""
    matches = np.mean([word not in (None, "weak") for word in words])
    return f"{100 * matches:5.1f} {100 * np.mean([word == SAME for word in words]):5.1f}"
