"""The format of Revisited Oxford and Paris, as JSON and as pickles of any age."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import save_gradients

from cbir import CbirError, Gallery, Retriever, index_images
from cbir.evaluation import evaluate, from_revisited
from cbir.evaluation.safe_pickle import read_pickle
from cbir.retrieval import FileQuery, IdQuery

IMAGES = ["ship0", "ship1", "ship2", "ship3", "tower0", "tower1", "bridge0"]
ENTRIES: list[dict[str, Any]] = [
    {"easy": [1], "hard": [2], "junk": [3], "bbx": [0.0, 0.0, 40.0, 30.0]},
    {"easy": [], "hard": [5], "junk": []},
]


def write(folder: Path, entries: Any = ENTRIES, **parts: Any) -> Path:
    document = {"imlist": IMAGES, "qimlist": ["ship0", "tower0"], "gnd": entries} | parts
    (folder / "gnd.json").write_text(json.dumps(document))
    return folder / "gnd.json"


@pytest.mark.parametrize(
    ("protocol", "relevant", "left_out"),
    [
        ("easy", [{"ship1"}], 1),
        ("medium", [{"ship1", "ship2"}, {"tower1"}], 0),
        ("hard", [{"ship2"}, {"tower1"}], 0),
    ],
)
def test_a_protocol_decides_what_is_relevant_and_what_junk(
    shelf: Path,
    labelled: Gallery,
    ids: dict[str, int],
    protocol: Any,
    relevant: list[set[str]],
    left_out: int,
) -> None:
    truth = from_revisited(labelled, write(shelf), protocol=protocol)
    names = {image: name for name, image in ids.items()}
    assert [{names[i] for i in q.relevant.tolist()} for q in truth.queries] == relevant
    assert truth.left_out == left_out
    junk = {names[i] for i in truth.queries[0].junk.tolist()}
    # Its own image, its junk, what another protocol asks for, and what is not in imlist.
    assert junk == set(ids) - {*IMAGES} | {"ship0", "ship3"} | {"ship1", "ship2"} - relevant[0]


def test_a_query_is_cropped_by_its_box(shelf: Path, labelled: Gallery) -> None:
    boxed, whole = from_revisited(labelled, write(shelf)).queries
    query: Any = boxed.as_query()
    assert query.image.size == (40, 30)
    assert isinstance(whole.as_query(), IdQuery)
    assert evaluate(Retriever(labelled), from_revisited(labelled, write(shelf)), timed=2)


def test_queries_may_be_files_beside_the_ground_truth(shelf: Path, labelled: Gallery) -> None:
    save_gradients(shelf / "jpg")
    file = write(shelf, qimlist=["red", "blue"])
    red, blue = from_revisited(labelled, file).queries
    assert blue.as_query() == FileQuery(str(shelf / "jpg" / "blue.png"))
    assert red.box == (0, 0, 40, 30)
    with pytest.raises(CbirError, match="query violet is neither in the gallery nor a file"):
        from_revisited(labelled, write(shelf, qimlist=["red", "violet"]))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_say_the_same_as_json(shelf: Path, labelled: Gallery, protocol: int) -> None:
    document = json.loads(write(shelf).read_text())
    arrays: list[dict[str, Any]] = [
        {key: np.array(value, dtype=">i4") for key, value in entry.items()}
        for entry in document["gnd"]
    ]
    arrays[1]["hard"] = [np.int64(5)]
    document |= {"gnd": tuple(arrays), "imlist": np.array(document["imlist"])}
    (shelf / "gnd.pkl").write_bytes(pickle.dumps(document, protocol=protocol))
    from_pickle = from_revisited(labelled, shelf / "gnd.pkl").queries
    from_json = from_revisited(labelled, shelf / "gnd.json").queries
    for one, other in zip(from_pickle, from_json, strict=True):
        assert one.relevant.tolist() == other.relevant.tolist()
        assert one.junk.tolist() == other.junk.tolist()
        assert one.box == other.box


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Names as byte strings, a numpy array the old way: what such a file holds, opcode by opcode.

    `{'imlist': ['a'], 'easy': numpy.array([1, 2])}`, pickled by Python 2 with protocol 2.
    """
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02i8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x10\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0tb"
    )
    (tmp_path / "old.pkl").write_bytes(b"\x80\x02}(U\x06imlist]U\x01aaU\x04easy" + array + b"u.")
    assert read_pickle(tmp_path / "old.pkl") == {"imlist": ["a"], "easy": [1, 2]}


class Nasty:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Nasty(os.mkdir, "made"), "mkdir"),
        (Nasty(eval, "__import__('os').mkdir('made')"), "eval"),
        (Nasty(getattr, "", "join"), "getattr"),
        (np.array([Nasty(os.mkdir, "made")], dtype=object), "an array of O8|mkdir"),
        (Path("x"), "Path"),
        (np.zeros(2, dtype=[("a", "i4")]), "an array of V4"),
    ],
)
def test_a_pickle_that_could_run_code_is_refused(
    tmp_path: Path, value: Any, named: str, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gnd.pkl").write_bytes(pickle.dumps({"gnd": value}, protocol=protocol))
    with pytest.raises(CbirError, match=f"asks for .*({named}).* give the ground truth as JSON"):
        read_pickle(tmp_path / "gnd.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("length", [0, 1, 20, 80, 200])
def test_a_damaged_pickle_is_an_error(tmp_path: Path, length: int) -> None:
    whole = pickle.dumps({"gnd": [{"easy": np.arange(50)}], "imlist": ["a"] * 90})
    (tmp_path / "gnd.pkl").write_bytes(whole[:length])
    with pytest.raises(CbirError, match=r"gnd.pkl: not a readable pickle"):
        read_pickle(tmp_path / "gnd.pkl")
    with pytest.raises(CbirError, match="No such file"):
        read_pickle(tmp_path / "none.pkl")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"easy": [99], "hard": [], "junk": []}] * 2, "must be positions in imlist"),
        ([{"easy": [-1], "hard": [], "junk": []}] * 2, "a position below 0"),
        ([{"ok": [1], "junk": []}] * 2, "query ship0: easy, hard and junk"),
        ([{"easy": [1], "hard": [], "junk": [], "bbx": [1, 2]}] * 2, "bbx is not four numbers"),
        ([{"easy": [1], "hard": [], "junk": [], "bbx": [9, 0, 9, 9]}] * 2, "is empty"),
        ([], "not in the Revisited format"),
        ({}, "not in the Revisited format"),
        ([1, 2], "not in the Revisited format"),
    ],
)
def test_what_is_not_of_the_format_is_an_error(
    shelf: Path, labelled: Gallery, entries: Any, message: str
) -> None:
    with pytest.raises(CbirError, match=message):
        from_revisited(labelled, write(shelf, entries))


def test_a_gallery_that_lacks_an_image_is_an_error(shelf: Path, gallery: Gallery) -> None:
    index_images(shelf / "ship0.png", gallery)
    with pytest.raises(CbirError, match=r"ship1 is not in .*; index it"):
        from_revisited(gallery, write(shelf))
