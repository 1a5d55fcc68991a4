"""A gallery goes from one machine to another, all on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import cbir

ENDINGS = pytest.mark.parametrize("ending", ["parquet", "npy"])


@pytest.fixture
def feed(folder: Path) -> Path:
    """A manifest of the six pictures, as people write them."""
    feed = folder / "feed.csv"
    rows = [f"{p.relative_to(folder)},{p.parent.name}\n" for p in sorted(folder.rglob("*.png"))]
    feed.write_text("path,parity\n" + "".join(rows))
    return feed


@ENDINGS
def test_from_one_machine_to_another(feed: Path, tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / f"shop.{ending}"
    assert cbir("index", feed, "-g", here, "--backbone", "tiny_image").code == 0
    run = cbir("export", "--out", file, "-g", here)
    assert run.code == 0, run.err
    assert run.out.startswith("6 images, 3072-d float16, ")
    assert str(file) in run.out

    old, new = feed.parent, tmp_path / "new home"
    old.rename(new)
    run = cbir("import", file, "-g", there, "--root", f"{old}={new}")
    assert run.code == 0, run.err
    assert run.out.startswith("added 6   unchanged 0 ")
    assert f"gallery {there}: 6 images, tiny_image · 3072-d" in run.out

    run = cbir("index", new / "feed.csv", "-g", there, "--json")
    assert (json.loads(run.out)["unchanged"], json.loads(run.out)["updated"]) == (6, 0)
    picture = new / "odd/3.png"
    run = cbir("search", picture, "-g", there, "--where", "parity=odd", "-k", "2", "--json")
    hits = json.loads(run.out)["hits"]
    assert len(hits) == 2
    assert hits[0]["uri"] == str(picture)
    assert cbir("verify", "-g", there, "--content").out.endswith("6 images, sound\n")
    assert cbir("recommend", picture, "-g", there, "--same", "parity").code == 0


def test_json_and_a_part(feed: Path, tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "shop.npy"
    cbir("index", feed, "-g", here, "--backbone", "tiny_image")
    run = cbir(
        *("export", "--out", file, "-g", here, "--where", "parity=even", "--json"),
        *("--dtype", "float32"),
    )
    said = json.loads(run.out)
    assert (said["images"], said["dim"], said["dtype"]) == (3, 3072, "float32")
    assert said["files"] == [str(file.with_suffix(s)) for s in (".npy", ".jsonl", ".json")]
    said = json.loads(cbir("import", file, "-g", tmp_path / "there", "--json").out)
    assert (said["added"], said["created"], said["images"]) == (3, True, 3)
    assert said["gallery"] == str(tmp_path / "there")
    said = json.loads(cbir("export", "--out", file, "-g", here, "--projected", "--json").out)
    assert (said["images"], said["dtype"]) == (6, "float32")


def test_bad_rows_are_counted(feed: Path, tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "shop.npy"
    cbir("index", feed, "-g", here, "--backbone", "tiny_image")
    cbir("export", "--out", file, "-g", here)
    lines = file.with_suffix(".jsonl")
    lines.write_text(lines.read_text().replace('"width": 64', '"width": null', 1))
    run = cbir("import", file, "-g", tmp_path / "there")
    assert run.code == 3
    assert f"failed  {file}: row 1: its width is None" in run.out
    assert "added 5   unchanged 0   failed 1" in run.out


def test_another_tool_s_embeddings(feed: Path, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    vectors = [[1.0] + [0.0] * 3071, [0.0, 1.0] + [0.0] * 3070]
    uris = [str(feed.parent / "odd/1.png"), str(feed.parent / "odd/3.png")]
    file = tmp_path / "theirs.parquet"
    parquet.write_table(arrow.table({"uri": uris, "embedding": vectors}), file)
    assert "--backbone" in cbir("import", file, "-g", tmp_path / "g").err
    run = cbir("import", file, "-g", tmp_path / "g", "--backbone", "tiny_image", "--json")
    assert json.loads(run.out)["added"] == 2
    found = json.loads(cbir("search", "id:1", "-g", tmp_path / "g", "--json").out)["hits"]
    assert [hit["uri"] for hit in found] == [uris[1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "nothing.parquet"), "no such file: nothing.parquet"),
        (("import", "nothing.csv"), "should end in .parquet or .npy"),
        (("import", "nothing.npy", "--root", "/a"), "'/a' is not a root"),
        (("import", "nothing.npy", "--backbone", "tiny_imag"), "did you mean 'tiny_image'"),
        (("export", "--out", "a.npy"), "no gallery at"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    run = cbir(*arguments, "-g", tmp_path / "g")
    assert run.code == 1
    assert message in run.err
    assert run.err.count("\n") == 1


def test_neither_loads_a_network(feed: Path, tmp_path: Path) -> None:
    """Weights are for those who embed."""
    cbir("index", feed, "-g", tmp_path / "here", "--backbone", "tiny_image")
    program = (
        "import sys; from cbir import Gallery, export_gallery, import_gallery;"
        "export_gallery(Gallery.open('here'), 'shop.npy'); import_gallery('shop.npy', 'there');"
        "print({'torch', 'openvino', 'cv2', 'pyarrow'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout == "set()\n"
