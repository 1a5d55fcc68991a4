"""The main job on real photographs, as its users run it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import dataset
from terminal import cbir

from cbir import Gallery, Retriever
from cbir.evaluation.metrics import precision_at
from cbir.retrieval.confidence import scale_of


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


@pytest.mark.parametrize("name", ["cdcovers", "tmbud"])
def test_what_is_absent_is_seldom_reported_and_what_is_there_often(
    name: str, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    assert cbir("index", dataset(name) / "labels.csv", "--gallery", whole).code == 0
    with Gallery.open(whole) as gallery:
        labels = {record.id: record.metadata["label"] for record, _ in gallery.catalog.scan()}
        vectors = gallery.catalog.embeddings(list(labels))
        groups = sorted(set(labels.values()))
        retriever = Retriever(gallery)
        known = [i for i, own in labels.items() if list(labels.values()).count(own) > 1]
        present = [retriever.search(image_id, k=1).matched is True for image_id in known]
    absent = []
    for part in range(4):
        missing = [i for i, label in labels.items() if label in groups[part::4]]
        shutil.copytree(whole, tmp_path / f"{part}")
        with Gallery.open(tmp_path / f"{part}") as gallery:
            gallery.remove(missing)
            for image_id in missing:
                vector = vectors[image_id][None]
                scale = scale_of(gallery, vector)
                assert scale is not None
                similarity = float(gallery.search(vector, 1).similarities[0, 0])
                absent.append(scale.confidence(similarity).word != "weak")
    assert len(absent) == len(labels)
    assert np.mean(absent) <= 0.05
    assert np.mean(present) >= 0.3
