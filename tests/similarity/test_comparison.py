"""Two images by every measure at once."""

from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture, plain
from PIL import Image
from similarity.photographs import photograph, seen_from_the_side

from cbir.errors import ImageError
from cbir.similarity import Comparison, Measure, compare, draw_matches, mse, save_plot

SYMMETRIC = [
    "mse",
    "ssim",
    "rgb_intersection",
    "rgb_chi_square",
    "hsv_intersection",
    "hsv_chi_square",
]


def number(measure: Measure) -> float:
    assert measure.value is not None
    return measure.value


BEST = {"mse": 0.0, "rgb_chi_square": 0.0, "hsv_chi_square": 0.0}

EDGES = {
    "one pixel": plain("red", 1, 1),
    "a column": plain("red", 1, 300),
    "constant": plain("grey", 90, 70),
    "grey": picture().convert("L"),
    "16 bit": Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16),
    "transparent": picture().convert("RGBA"),
    "tiny": picture(5, 4),
    "photograph": Image.fromarray(photograph("chelsea")),
}


def values(comparison: Comparison) -> dict[str, float]:
    return {m.name: m.value for m in comparison.measures if m.value is not None}


@pytest.mark.parametrize("image", EDGES.values(), ids=EDGES)
def test_an_image_is_like_itself(image: Image.Image) -> None:
    found = values(compare(image, image))
    assert {name: found[name] for name in SYMMETRIC} == pytest.approx(
        {name: BEST.get(name, 1.0) for name in SYMMETRIC}
    )


@pytest.mark.parametrize("image", EDGES.values(), ids=EDGES)
def test_sizes_may_differ_and_the_order_does_not_matter(image: Image.Image) -> None:
    other = Image.fromarray(photograph("coffee"))
    forward, backward = compare(image, other), compare(other, image)
    assert forward.sizes == backward.sizes[::-1] == (image.size, other.size)
    for name in SYMMETRIC:
        assert forward[name].value == backward[name].value
    assert number(forward["sift_inliers"]) <= 6


def test_images_of_one_size_are_compared_as_they_are() -> None:
    a, b = picture(90, 70, seed=1), picture(90, 70, seed=2)
    assert compare(a, b)["mse"].value == mse(np.asarray(a), np.asarray(b))
    assert "both at" not in compare(a, b)["mse"].meaning
    assert "both at 80 × 60" in compare(a.resize((80, 99)), b.resize((100, 60)))["mse"].meaning


def test_a_file_its_bytes_and_its_image_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image, other = picture(80, 60, seed=1), picture(70, 90, seed=2)
    image.save(path)
    expected = values(compare(image, other))
    assert values(compare(path, other)) == expected
    assert values(compare(str(path), other)) == expected
    assert values(compare(path.read_bytes(), encode(other))) == expected


def test_another_view_of_one_thing_is_said_to_be_one() -> None:
    image = photograph("astronaut")
    seen, _ = seen_from_the_side(image)
    found = compare(Image.fromarray(image), Image.fromarray(seen))
    for name in ("sift_inliers", "orb_inliers"):
        assert number(found[name]) > 60
        assert found[name].meaning.endswith("fit one view: very likely the same object")
        assert set(found[name].details) == {"tentative", "inlier_ratio", "spread"}
    assert found.matches.shape == (found["sift_inliers"].value, 4)
    assert found.matches.min() >= 0
    assert found.matches.max() <= 1


def test_embeddings_are_a_measure_where_there_are_any() -> None:
    def embed(data: bytes) -> np.ndarray:
        return np.array([1.0, len(data) % 2], np.float32)

    found = compare(b"" + encode(picture()), encode(picture()), embed=embed, embed_name="parity")
    assert found["embedding_cosine"].value == pytest.approx(1.0)
    assert found["embedding_cosine"].meaning == "-1 to 1, higher is more alike · parity"
    with pytest.raises(KeyError):
        compare(picture(), picture())["embedding_cosine"]


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.jpg: cannot be read: No such file"):
        compare(tmp_path / "nowhere.jpg", picture())
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(encode(picture(), "JPEG")[:100])
    with pytest.raises(ImageError, match=r"broken\.jpg: truncated"):
        compare(picture(), broken)
    with pytest.raises(ImageError, match="second image: empty file"):
        compare(picture(), b"")
    with pytest.raises(ImageError, match="mine: empty file"):
        compare(b"", picture(), names=("mine", "yours"))


def test_the_plot_shows_both_images_and_a_line_per_match() -> None:
    from similarity.photographs import Pixels

    def plot(count: int) -> Pixels:
        line = np.tile(np.full(4, 0.5, np.float32), (count, 1))
        drawn = draw_matches(
            plain("white", 60, 40), plain("white", 40, 60), line, names=("a", "b" * 900)
        )
        return np.asarray(drawn).astype(int)

    empty, joined = plot(0), plot(1)
    assert empty.shape == joined.shape
    changed = np.abs(joined - empty).sum(axis=2) > 0
    rows, columns = np.nonzero(changed)
    assert np.ptp(rows) < 10  # one level line from the middle of one to that of the other
    assert np.ptp(columns) == pytest.approx(560 / 2 + 48 + 373 / 2, abs=10)
    assert plot(500).shape == empty.shape


def test_an_image_too_narrow_for_its_name_goes_without() -> None:
    column = draw_matches(
        plain("red", 1, 300), plain("red", 1, 300), np.empty((0, 4), np.float32), names=("a", "bc")
    )
    assert column.height > 560


@pytest.mark.parametrize(
    ("name", "kind"), [("p.png", "PNG"), ("p.JPG", "JPEG"), ("p.jpeg", "JPEG")]
)
def test_the_suffix_decides_the_format(tmp_path: Path, name: str, kind: str) -> None:
    save_plot(tmp_path / name, picture())
    with Image.open(tmp_path / name) as image:
        assert image.format == kind


def test_a_plot_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    from cbir.errors import CbirError

    with pytest.raises(CbirError, match=r"neither PNG nor JPEG; let its name end in \.png"):
        save_plot(tmp_path / "p.svg", picture())
    with pytest.raises(CbirError, match="cannot be written: No such file or directory"):
        save_plot(tmp_path / "no" / "p.png", picture())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "F"])
def test_pillow_images_of_any_mode_are_compared(mode: str) -> None:
    image = picture(90, 70).convert("RGBA").convert("RGBA" if mode == "RGBa" else "RGB")
    image = image.convert("L").convert(mode) if mode in ("1", "F", "LA") else image.convert(mode)
    assert compare(image, image)["mse"].value == 0
