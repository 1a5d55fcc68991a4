"""The main job on real photographs, as its users run it."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import dataset
from terminal import cbir

from cbir import Gallery
from cbir.evaluation.metrics import precision_at


@pytest.fixture(scope="module")
def corel1k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of corel1k on the default backbone."""
    manifest = dataset("corel1k") / "labels.csv"
    gallery = tmp_path_factory.mktemp("corel1k") / "gallery"
    run = cbir("index", manifest, "--gallery", gallery)
    assert run.code == 0, run.err
    assert run.out.startswith("added 1,000   unchanged 0")
    return gallery


def test_the_first_ten_are_of_the_query_s_class(corel1k: Path) -> None:
    with Gallery.open(corel1k) as gallery:
        labels = {record.id: record.metadata["label"] for record, _ in gallery.catalog.scan()}
        vectors = gallery.catalog.embeddings(list(labels))
        found = gallery.search(np.stack(list(vectors.values())), 11)
    precisions = []
    for query, ids in zip(vectors, found.ids, strict=True):
        others = [i for i in ids.tolist() if i != query][:10]
        relevant = np.array([labels[i] == labels[query] for i in others])
        precisions.append(precision_at(relevant, 10))
    assert len(precisions) == 1000
    assert np.mean(precisions) >= 0.965


def test_a_query_that_is_in_the_gallery_comes_back_first(corel1k: Path) -> None:
    folder = dataset("corel1k")
    for name in ("0.jpg", "333.jpg", "999.jpg"):
        run = cbir("search", folder / name, "-k", "1", "--gallery", corel1k, "--json")
        (hit,) = json.loads(run.out)["hits"]
        assert hit["uri"] == str(folder / name)
        assert hit["similarity"] >= 0.999
