"""The last stage: evaluates rerankers with the best embedding, in a gallery of the sample."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from cbir.arrays import Vectors
from cbir.catalog.rows import Batch
from cbir.evaluation.ground_truth import GroundTruth, JudgedQuery, from_labels
from cbir.evaluation.reranked import reranked_search
from cbir.evaluation.run import evaluate
from cbir.evaluation.tuning.sample import Sample
from cbir.evaluation.tuning.trial import Measured, Scores, Setting
from cbir.gallery import Gallery
from cbir.reranking import find_reranker, open_reranker
from cbir.retrieval import Retriever

__all__ = ["rerankings"]

QUERIES = 200
"""Most queries, taken evenly from the sample: 50 candidates of each are verified."""


def rerankings(
    sample: Sample,
    setting: Setting,
    embeddings: Vectors,
    methods: Sequence[str],
    *,
    weights_from: str | None,
    watch: Callable[[str, int], Callable[[int], None]],
) -> Iterator[Measured]:
    """Evaluate the setting without reranking, then with each method, while time allows.

    `embeddings` (N, D) are those of the sample's images; `watch(what, total)` returns a progress
    callback; an error that it raises ends the evaluation. Raises ImageError for an image that can
    no longer be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with Gallery.create(path / "gallery", setting.spec, weights_from=weights_from) as gallery:
            gallery.write("sample", Batch(images=sample.rows(embeddings)))
            gallery.whiten(setting.whitening)
            truth = _truth(sample, gallery, path)
            for method in (None, *methods):
                scores = _scored(gallery, truth, method, watch)
                cost = 0 if method is None else find_reranker(method).cost
                yield Measured(replace(setting, rerank=method), (cost,), scores)


def _truth(sample: Sample, gallery: Gallery, folder: Path) -> GroundTruth:
    """At most 200 queries: images of the gallery, or altered ones, which are written to files."""
    if sample.label is not None:
        truth = from_labels(gallery, sample.label)
        step = -(-len(truth.queries) // QUERIES)
        return GroundTruth(truth.queries[::step])
    records = [record for record, _ in gallery.catalog.scan()]
    queries = []
    for record in records[:: -(-len(records) // QUERIES)]:
        file = folder / f"{record.id}.jpg"
        image = next(image for image in sample.images if image.identity == record.key)
        file.write_bytes(sample.altered(image.read()))
        relevant, junk = np.array([record.id]), np.array([], dtype=np.int64)
        queries.append(JudgedQuery(str(file), record.name, relevant, junk))
    return GroundTruth(tuple(queries))


def _scored(
    gallery: Gallery,
    truth: GroundTruth,
    method: str | None,
    watch: Callable[[str, int], Callable[[int], None]],
) -> Scores:
    with ExitStack() as stack:
        retriever = stack.enter_context(closing(Retriever(gallery)))
        search = None
        if method is not None:
            reranker = stack.enter_context(closing(open_reranker(method, gallery)))
            search = reranked_search(retriever, reranker)
        progress = watch(f"reranking, {method or 'none'}", len(truth.queries))
        evaluation = evaluate(retriever, truth, ks=(1,), search=search, timed=0, progress=progress)
    return Scores(
        np.array([result.values["AP"] for result in evaluation.queries]),
        np.array([result.values["P@1"] == 1 for result in evaluation.queries]),
    )
