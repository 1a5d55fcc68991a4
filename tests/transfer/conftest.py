from collections.abc import Iterator
from pathlib import Path

import pytest
from transfer.shop import images, make_gallery

from cbir.gallery import Gallery
from cbir.transfer import npy_file, pages, parquet_file


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Gallery]:
    with make_gallery(tmp_path / "shop", *images()) as gallery:
        yield gallery


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows shall be several pages, written and read."""
    monkeypatch.setattr(pages, "PAGE_ROWS", 3)
    monkeypatch.setattr(parquet_file, "COMMIT_ROWS", 2)
    monkeypatch.setattr(npy_file, "COMMIT_ROWS", 2)
