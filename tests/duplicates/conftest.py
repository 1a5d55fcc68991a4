from collections.abc import Iterator
from pathlib import Path

import pytest
from duplicates.copies import write_photographs

from cbir import Gallery, index_images, resolve_spec


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four different photographs; not to be changed."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


@pytest.fixture
def shelf(photographs: Path, tmp_path: Path) -> Path:
    """A copy of them that a test may change."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for file in photographs.iterdir():
        (shelf / file.name).write_bytes(file.read_bytes())
    return shelf


@pytest.fixture
def stocked(shelf: Path, tmp_path: Path) -> Iterator[Gallery]:
    """A gallery of the shelf as it is at first."""
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "stocked", spec) as gallery:
        index_images(shelf, gallery)
        yield gallery
