"""A gallery in which pixels and embeddings disagree: the embeddings prefer a blurred decoy."""

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from skimage import data

from cbir import Gallery, Retriever

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
    return Path(shutil.copytree(views / "shelf", tmp_path / "shelf"))


@pytest.fixture
def retriever(stocked: Gallery) -> Retriever:
    return Retriever(stocked)
