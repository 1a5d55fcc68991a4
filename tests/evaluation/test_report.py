import builtins
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbir import CbirError, Gallery, Retriever, SearchResult
from cbir.errors import MissingExtraError
from cbir.evaluation import LabelResult, evaluate, from_file, from_labels
from cbir.evaluation.result import Similarities
from cbir.pages.evaluation_report import write_evaluation_report
from cbir.pages.plots import (
    BARS_SHOWN,
    label_bars,
    precision_recall,
    similarity_histogram,
    to_svg,
)
from cbir.retrieval import Query


def test_the_report_needs_nothing_but_itself(labelled: Gallery, tmp_path: Path) -> None:
    retriever = Retriever(labelled)
    evaluation = evaluate(retriever, from_labels(labelled, "label"))
    write_evaluation_report(tmp_path / "a" / "report", evaluation, retriever, title="<t>")
    text = (tmp_path / "a" / "report" / "index.html").read_text()
    assert "<title>&lt;t&gt;</title>" in text
    assert text.count("<svg") == 3
    assert text.count('class="query"') == 10
    # xmlns names are no links; #… stays within the page.
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"|url\(([^)]*)\)", text)
    assert all(re.match(r"data:image/jpeg|#", first or second) for first, second in links)
    assert "<?xml" not in text
    assert "<metadata" not in text
    assert "#00000" not in text  # the names of colours are all replaced
    assert "var(--accent)" in text
    # Each of the 10 queries is shown with its 3 or 2 right answers framed.
    assert text.count('<figure class="right"') == 4 * 3 + 6 * 2
    assert (tmp_path / "a" / "report" / "queries.csv").exists()


def test_a_plot_is_the_same_each_time(labelled: Gallery) -> None:
    curve = evaluate(Retriever(labelled), from_labels(labelled, "label"), timed=0).curve
    assert len({to_svg(precision_recall(curve), alt="") for _ in range(2)}) == 1


def test_junk_is_not_shown_and_a_reranked_order_is(
    shelf: Path, labelled: Gallery, tmp_path: Path
) -> None:
    (shelf / "truth.json").write_text(
        '{"ship0": {"relevant": ["ship1"], "junk": ["ship2", "ship3"]}}'
    )
    retriever = Retriever(labelled)

    def backwards(query: Query, k: int) -> SearchResult:
        found = retriever.search(query, k=k)
        return SearchResult(found.query, found.hits[::-1], found.timings_ms)

    truth = from_file(labelled, shelf / "truth.json")
    evaluation = evaluate(retriever, truth, search=backwards)
    write_evaluation_report(tmp_path / "r", evaluation, retriever, search=backwards)
    text = (tmp_path / "r" / "index.html").read_text()
    assert text.count("<svg") == 2  # without labels there are none to compare
    assert "ship2.png" not in text
    shown = re.findall(r"</b> (\w+)\.png", text)
    assert shown[-1] == "ship1"
    assert "1 relevant, first at rank 9" in text


def test_labels_are_text_whatever_they_hold() -> None:
    odd = [LabelResult("$a_b$ <&> " + "x" * 40, 2, 0.5), LabelResult("日本", 1, 1.0)]
    svg = to_svg(label_bars(odd), alt="<")
    assert 'aria-label="&lt;"' in svg
    assert "$a_b$ &lt;&amp;&gt; xxxx" in svg
    assert "日本" in svg
    many = [LabelResult(f"label {n}", 1, n / 100) for n in range(100)]
    assert to_svg(label_bars(many), alt="").count("label ") == BARS_SHOWN


def test_without_matplotlib_it_says_what_to_install(
    labelled: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = Retriever(labelled)
    evaluation = evaluate(retriever, from_labels(labelled, "label"), timed=0)
    found = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return found(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'cbir\[report\]'"):
        write_evaluation_report(tmp_path / "r", evaluation, retriever)


def test_a_folder_that_cannot_be_made_is_an_error(labelled: Gallery, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    retriever = Retriever(labelled)
    evaluation = evaluate(retriever, from_labels(labelled, "label"), timed=0)
    with pytest.raises(CbirError, match="cannot be created"):
        write_evaluation_report(tmp_path / "file", evaluation, retriever)


def test_a_histogram_of_few_pairs_has_wide_bins() -> None:
    many, few = np.full(200, 100), np.zeros(200, dtype=np.int64)
    few[100:180:2] = 3
    (line, _) = similarity_histogram(Similarities(relevant=many, irrelevant=many)).axes[0].lines
    assert np.size(line.get_xdata()) == 200
    others, relevant = (
        similarity_histogram(Similarities(relevant=few, irrelevant=many)).axes[0].lines
    )
    assert np.size(relevant.get_xdata()) == np.size(others.get_xdata()) == 25
    assert np.sum(relevant.get_ydata()) == pytest.approx(100)
