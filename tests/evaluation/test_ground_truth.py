"""Ground truth from labels and from files of queries and answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import save_gradients
from factories import encode, picture

from cbir import CbirError, Gallery, index_images
from cbir.evaluation import JudgedQuery, from_file, from_labels
from cbir.retrieval import FileQuery, IdQuery


def answers(query: JudgedQuery, ids: dict[str, int]) -> set[str]:
    """Names of what should be found."""
    names = {image: name for name, image in ids.items()}
    return {names[i] for i in set(query.relevant.tolist()) - set(query.junk.tolist())}


def test_labels_leave_one_out(labelled: Gallery, ids: dict[str, int]) -> None:
    truth = from_labels(labelled, "label")
    assert len(truth.queries) == 10
    assert truth.left_out == 1  # lonely; the one without a label is no query at all
    by_name = {query.name: query for query in truth.queries}
    tower = by_name["tower1.png"]
    assert (tower.image, tower.label, tower.total) == (ids["tower1"], "tower", 2)
    assert answers(tower, ids) == {"tower0", "tower2"}
    assert tower.as_query() == IdQuery(ids["tower1"])


def test_queries_can_be_restricted_and_their_answers_are_not(
    labelled: Gallery, ids: dict[str, int]
) -> None:
    truth = from_labels(labelled, "label", queries={"split": "test"})
    assert [query.name for query in truth.queries] == ["ship0.png", "tower0.png", "bridge0.png"]
    assert truth.left_out == 1
    assert answers(truth.queries[0], ids) == {"ship1", "ship2", "ship3"}


@pytest.mark.parametrize(
    ("column", "queries", "message"),
    [
        ("lable", None, r"lable: no image has such a label \(columns: label, split\)"),
        ("label", {"split": "val"}, "label: no labelled image has split=val"),
        ("label", {"label": "lonely"}, "label: none of 1 queries has a relevant image"),
    ],
)
def test_labels_that_say_nothing_are_errors(
    labelled: Gallery, column: str, queries: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(CbirError, match=message):
        from_labels(labelled, column, queries=queries)


def test_a_json_file_names_images_in_many_ways(
    shelf: Path, labelled: Gallery, ids: dict[str, int]
) -> None:
    photo = shelf / "photo.jpg"
    photo.write_bytes(encode(picture(), "JPEG"))
    file = shelf / "truth.json"
    document = {
        "ship0.png": ["ship1.png", f"id:{ids['ship2']}", str(shelf / "ship3.png")],
        "photo.jpg": {"relevant": ["tower0"], "junk": ["tower1", "tower2"]},
        "lonely": [],
    }
    file.write_text(json.dumps(document))
    truth = from_file(labelled, file)
    ship, external = truth.queries
    assert answers(ship, ids) == {"ship1", "ship2", "ship3"}
    assert ids["ship0"] in ship.junk  # never its own answer
    assert external.as_query() == FileQuery(str(photo))
    assert answers(external, ids) == {"tower0"}
    assert set(external.junk.tolist()) == {ids["tower1"], ids["tower2"]}
    assert truth.left_out == 1


def test_a_csv_file_adds_up_its_rows(shelf: Path, labelled: Gallery, ids: dict[str, int]) -> None:
    file = shelf / "truth.csv"
    file.write_text("query;relevant;junk\nship0;ship1;\nship0;ship2;ship3\nbridge0;bridge1\n")
    ship, bridge = from_file(labelled, file).queries
    assert answers(ship, ids) == {"ship1", "ship2"}
    assert set(ship.junk.tolist()) == {ids["ship0"], ids["ship3"]}
    assert answers(bridge, ids) == {"bridge1"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"ship0": ["nothing.png"]}, "nothing.png is not in .*gallery; index it"),
        ({"nothing.png": ["ship0"]}, "query nothing.png is neither in .*gallery nor a file"),
        ({"ship0": "ship1"}, "query ship0: neither a list nor 'relevant' and 'junk'"),
        ({"ship0": {"right": []}}, "query ship0: neither a list nor"),
        ({"ship0": [1]}, "query ship0: not a list of image names"),
        ([], "not an object of queries"),
        ({"ship0": ["id:999"]}, "id:999 is not in"),
    ],
)
def test_a_file_that_makes_no_sense_is_an_error(
    shelf: Path, labelled: Gallery, document: Any, message: str
) -> None:
    (shelf / "truth.json").write_text(json.dumps(document))
    with pytest.raises(CbirError, match=message):
        from_file(labelled, shelf / "truth.json")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "a.json: not JSON"),
        ("a.csv", "image,label\nx,y\n", r"needs the columns query .*columns: image, label"),
        ("a.csv", "query,relevant\n,ship0\n", "line 2 has no query"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    shelf: Path, labelled: Gallery, name: str, text: str, message: str
) -> None:
    (shelf / name).write_text(text)
    with pytest.raises(CbirError, match=message):
        from_file(labelled, shelf / name)
    with pytest.raises(CbirError, match="No such file"):
        from_file(labelled, shelf / f"no-{name}")


def test_an_ambiguous_name_is_an_error(tmp_path: Path, gallery: Gallery) -> None:
    for folder in ("one", "two"):
        save_gradients(tmp_path / folder)
        index_images(tmp_path / folder, gallery)
    (tmp_path / "truth.json").write_text('{"one/red.png": ["red"]}')
    with pytest.raises(CbirError, match=r"red names 2 images of .*; give a path or id:N"):
        from_file(gallery, tmp_path / "truth.json")
