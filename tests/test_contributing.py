"""The examples of CONTRIBUTING.md: each is one file, is added by one line, and works."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from factories import picture, plain

import cbir
from cbir import Gallery, Retriever, index_images, verify_gallery
from cbir.descriptors import DESCRIPTORS
from cbir.embedding import BACKBONES
from cbir.indexes.registry import INDEXES
from cbir.reranking import RERANKERS
from cbir.sources import SOURCES

PAGE = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL))
REGISTRIES: list[dict[str, object]] = [BACKBONES, DESCRIPTORS, INDEXES, RERANKERS, SOURCES]  # type: ignore[list-item]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files of the page, importable, and `photos/` in it."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "photos").mkdir()
    for seed in range(4):
        picture(seed=seed).save(tmp_path / "photos" / f"{seed}.png")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CBIR_WEIGHTS_DIR", str(tmp_path))
    before = [dict(registry) for registry in REGISTRIES]
    yield tmp_path
    for registry, state in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(state)
    for name in FILES:
        sys.modules.pop(name, None)


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_the_page_has_an_example_of_each() -> None:
    assert set(FILES) == {"my_backbone", "my_source", "my_index", "my_reranker"}


def test_the_backbone(folder: Path) -> None:
    import torch

    module = load("my_backbone")
    torch.manual_seed(1)
    torch.save(module.build(module.BACKBONE, 64).net.state_dict(), folder / "mine.pth")
    cbir.register_backbone(module.BACKBONE)
    with Gallery.create(folder / "gallery", backbone="mine") as gallery:
        assert index_images(folder / "photos", gallery).added == 4
        hit = Retriever(gallery).search(folder / "photos" / "2.png", k=1).hits[0]
        assert (hit.image.name, gallery.spec.dim) == ("2.png", 16)
        assert hit.similarity > 0.999


def test_the_source(folder: Path) -> None:
    load("my_source")
    cbir.register_source(".txt", "my_source:ListedImages")
    (folder / "list.txt").write_text("photos/1.png\nphotos/3.png\nphotos/none.png\n")
    with Gallery.create(folder / "gallery", backbone="tiny_image") as gallery:
        report = index_images(folder / "list.txt", gallery)
        assert (report.added, [f.uri for f in report.failed]) == (
            2,
            [str(folder / "photos" / "none.png")],
        )


def test_the_index(folder: Path) -> None:
    cbir.register_index(load("my_index").INDEX)
    with Gallery.create(folder / "gallery", backbone="tiny_image", index="half") as gallery:
        index_images(folder / "photos", gallery)
        assert gallery.index().kind == "half"
        names = [hit.image.name for hit in Retriever(gallery).search(1, k=9).hits]
        gallery.rebuild_index("flat")
        assert names == [hit.image.name for hit in Retriever(gallery).search(1, k=9).hits]
        gallery.rebuild_index("half")
        gallery.remove([2])
        assert gallery.index().ids().tolist() == [1, 3, 4]
        assert gallery.index().kind == "half"
        assert verify_gallery(gallery).ok


def test_the_reranker(folder: Path) -> None:
    module = load("my_reranker")
    cbir.register_descriptor(module.DESCRIPTOR)
    cbir.register_reranker(module.RERANKER)
    for name in ("black", "grey", "white"):
        plain(name).save(folder / "photos" / f"{name}.png")
    with Gallery.create(folder / "gallery", backbone="tiny_image") as gallery:
        index_images(folder / "photos", gallery)
        result = Retriever(gallery).search(plain("#eeeeee"), k=1, rerank="brightness")
        assert result.hits[0].image.name == "white.png"
