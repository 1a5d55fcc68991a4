import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cbir import CbirError, Gallery, Retriever, SearchResult, index_images
from cbir.errors import ImageError, WeightsError
from cbir.evaluation import evaluate, from_file, from_labels
from cbir.retrieval import IdQuery, Query


def test_alike_pictures_are_found_without_fault(labelled: Gallery) -> None:
    evaluation = evaluate(Retriever(labelled), from_labels(labelled, "label"), ks=(2, 1))
    assert evaluation.metrics["mAP"].value == pytest.approx(1)
    assert evaluation.metrics["mAP_trapezoidal"].value == pytest.approx(1)
    assert evaluation.metrics["MRR"].value == 1
    assert list(evaluation.metrics)[3:] == ["P@1", "P@2", "R@1", "R@2", "nDCG@1", "nDCG@2"]
    # 4 ships with 3 answers each, 6 others with 2.
    assert evaluation.metrics["R@2"].value == pytest.approx((4 * 2 / 3 + 6) / 10)
    assert (len(evaluation.queries), evaluation.left_out, evaluation.images) == (10, 1, 12)
    assert [label.label for label in evaluation.by_label()] == ["bridge", "ship", "tower"]
    assert sum(label.queries for label in evaluation.by_label()) == 10
    np.testing.assert_allclose(evaluation.curve, 1)


def test_average_precision_is_that_of_the_similarity_matrix(
    labelled: Gallery, ids: dict[str, int]
) -> None:
    """The whole path against scikit-learn, on groups the pixels know nothing of."""
    rng = np.random.default_rng(3)
    names = sorted(ids)
    colours = {name: str(rng.integers(2)) for name in names}
    vectors = labelled.catalog.embeddings(list(ids.values()))
    expected = []
    for name in names:
        others = [other for other in names if other != name]
        relevant = [colours[other] == colours[name] for other in others]
        scores = [float(vectors[ids[name]] @ vectors[ids[other]]) for other in others]
        expected.append(average_precision_score(relevant, scores))
    lines = ["query,relevant"]
    lines += [f"{a},{b}" for a in names for b in names if a != b and colours[a] == colours[b]]
    file = labelled.path / "truth.csv"
    file.write_text("\n".join(lines) + "\n")
    evaluation = evaluate(Retriever(labelled), from_file(labelled, file), timed=0)
    mean = evaluation.metrics["mAP"]
    assert mean.value == pytest.approx(np.mean(expected), abs=1e-6)
    assert mean.low < mean.value < mean.high < 1
    assert evaluation.latency is None


def test_another_search_is_judged_by_the_same_rules(labelled: Gallery) -> None:
    retriever = Retriever(labelled)
    truth = from_labels(labelled, "label")
    asked: list[int] = []

    def plain(query: Query, k: int) -> SearchResult:
        asked.append(k)
        return retriever.search(query, k=k)

    def backwards(query: Query, k: int) -> SearchResult:
        found = retriever.search(query, k=k)
        return SearchResult(found.query, found.hits[::-1], found.timings_ms)

    direct = evaluate(retriever, truth, timed=0)
    same = evaluate(retriever, truth, search=plain, timed=0)
    assert [q.values for q in same.queries] == [q.values for q in direct.queries]
    np.testing.assert_allclose(same.curve, direct.curve)
    assert same.similarities.relevant.tolist() == direct.similarities.relevant.tolist()
    assert set(asked) == {12}
    worst = evaluate(retriever, truth, search=backwards, timed=0)
    assert worst.metrics["mAP"].value < 0.4
    assert worst.metrics["P@1"].value == 0


def test_what_lies_deeper_than_the_depth_is_not_found(labelled: Gallery) -> None:
    retriever, truth = Retriever(labelled), from_labels(labelled, "label")
    shallow = evaluate(retriever, truth, ks=(1,), depth=2, timed=0)
    assert shallow.depth == 2
    assert shallow.metrics["mAP"].value == pytest.approx((4 * 2 / 3 + 6) / 10)
    searched = evaluate(
        retriever, truth, ks=(1,), depth=2, search=lambda q, k: retriever.search(q, k=k), timed=0
    )
    assert searched.metrics == shallow.metrics
    with pytest.raises(CbirError, match="k 20 is larger than the depth of 2"):
        evaluate(retriever, truth, depth=2)


def test_junk_counts_neither_way(shelf: Path, labelled: Gallery) -> None:
    file = shelf / "truth.json"
    file.write_text('{"ship0": {"relevant": ["ship3"], "junk": ["ship1", "ship2"]}}')
    for depth in (None, 1):
        truth = from_file(labelled, file)
        found = evaluate(Retriever(labelled), truth, ks=(1,), depth=depth, timed=0)
        assert found.metrics["P@1"].value == 1
        assert found.metrics["mAP"].value == 1


def test_searches_are_timed_one_by_one_with_photographs(labelled: Gallery) -> None:
    retriever = Retriever(labelled)
    asked: list[Query] = []

    def search(query: Query, k: int) -> SearchResult:
        asked.append(query)
        return retriever.search(query, k=k)

    truth = from_labels(labelled, "label")
    evaluation = evaluate(retriever, truth, ks=(3,), search=search, timed=4)
    latency = evaluation.latency
    assert latency is not None
    assert (latency.queries, latency.k) == (4, 3)
    assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms < 10_000
    assert [isinstance(query, IdQuery) for query in asked] == [True] * 10 + [False] * 5
    assert sum(query.seconds is not None for query in evaluation.queries) == 4


def test_where_photographs_or_weights_are_gone_the_ranking_is_judged_all_the_same(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in folder.rglob("*.png")]
    (folder / "feed.csv").write_text("\n".join(["path,label", *rows]))
    index_images(folder / "feed.csv", gallery)
    for file in folder.rglob("*.png"):
        file.unlink()
    truth = from_labels(gallery, "label")
    evaluation = evaluate(Retriever(gallery), truth)
    assert len(evaluation.queries) == 6
    assert evaluation.latency is not None  # timed by id instead

    def fail(*_: object, **__: object) -> None:
        raise WeightsError("no weights")

    retriever = Retriever(gallery)
    monkeypatch.setattr(retriever, "search", fail)
    assert evaluate(retriever, truth).latency is None


def test_a_query_file_that_cannot_be_read_is_an_error(shelf: Path, labelled: Gallery) -> None:
    (shelf / "photo.jpg").write_text("text")
    (shelf / "truth.json").write_text('{"photo.jpg": ["ship0"]}')
    with pytest.raises(ImageError, match=r"photo.jpg: not an image"):
        evaluate(Retriever(labelled), from_file(labelled, shelf / "truth.json"))


def test_progress_and_blocks(labelled: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = from_labels(labelled, "label")
    whole = evaluate(Retriever(labelled), truth, timed=0)
    monkeypatch.setattr("cbir.evaluation.ranking.SIMILARITIES_AT_ONCE", 30)
    seen: list[int] = []
    blocks = evaluate(Retriever(labelled), truth, timed=0, progress=seen.append)
    assert seen == list(range(1, 11))
    assert blocks.metrics == whole.metrics


def test_similarities_are_counted_by_relevance(labelled: Gallery) -> None:
    pairs = evaluate(Retriever(labelled), from_labels(labelled, "label"), timed=0).similarities
    assert pairs.relevant.sum() == 4 * 3 + 6 * 2
    assert pairs.irrelevant.sum() == 10 * 11 - 24
    lowest_relevant = np.flatnonzero(pairs.relevant)[0]
    assert lowest_relevant > np.flatnonzero(pairs.irrelevant)[-1]


def test_results_are_written_row_by_row(labelled: Gallery, tmp_path: Path) -> None:
    evaluation = evaluate(Retriever(labelled), from_labels(labelled, "label"), ks=(1,), timed=1)
    evaluation.write_csv(tmp_path / "queries.csv")
    with (tmp_path / "queries.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["query"] == "ship0.png"
    assert (rows[0]["label"], rows[0]["relevant"], rows[0]["P@1"]) == ("ship", "3", "1.000000")
    assert sum(row["seconds"] != "" for row in rows) == 1
    with pytest.raises(CbirError, match="cannot be written"):
        evaluation.write_csv(tmp_path / "none" / "queries.csv")


@pytest.mark.parametrize("ks", [(), (0, 1)])
def test_ks_must_be_positive(labelled: Gallery, ks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        evaluate(Retriever(labelled), from_labels(labelled, "label"), ks=ks)
