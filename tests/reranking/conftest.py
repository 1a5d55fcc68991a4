"""A gallery in which pixels and embeddings disagree: the embeddings prefer a blurred decoy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from skimage import data

from cbir import Gallery, Retriever, index_images, resolve_spec

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).resize((384, 288))


@pytest.fixture(scope="session")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, `query.png` (a turned part of coffee), and `shelf/decoy.png`, its colours."""
    folder = tmp_path_factory.mktemp("views")
    (folder / "shelf").mkdir()
    for name in NAMES:
        photograph(name).save(folder / "shelf" / f"{name}.png")
    query = photograph("coffee").crop((60, 20, 340, 270)).rotate(90, expand=True)
    query.save(folder / "query.png")
    query.filter(ImageFilter.GaussianBlur(12)).save(folder / "shelf" / "decoy.png")
    return folder


@pytest.fixture
def shelf(views: Path, tmp_path: Path) -> Path:
    """A copy of the photographs that a test may change."""
    copy = tmp_path / "shelf"
    copy.mkdir()
    for file in (views / "shelf").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


@pytest.fixture
def stocked(shelf: Path, tmp_path: Path) -> Iterator[Gallery]:
    """A gallery of the shelf, compared by tiny images."""
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "stocked", spec) as gallery:
        index_images(shelf, gallery)
        yield gallery


@pytest.fixture
def retriever(stocked: Gallery) -> Retriever:
    return Retriever(stocked)
