"""What decides about speed, counted instead of timed: the same on every machine."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture
from PIL.JpegImagePlugin import JpegImageFile
from rows import config, row
from test_startup import modules_of

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch
from cbir.indexes.local import LocalIndex
from cbir.indexes.pq import PqIndex, PqOptions
from cbir.indexes.registry import IndexPlace

IMAGES, DIM = 40_000, 64
MATRIX = 4 * IMAGES * DIM
"""Bytes of the vectors as float32; they are read in several pages."""


def all_modules(*arguments: str) -> int:
    code = (
        "import sys; sys.argv = ['cbir', *sys.argv[1:]]\nfrom cbir.cli import main\n"
        "try:\n    main()\nfinally:\n    print('COUNT', len(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(run.stderr.rpartition("COUNT")[2])


def test_help_imports_few_modules() -> None:
    bare = subprocess.run(
        [sys.executable, "-c", "import sys, typer; print(len(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    # typer brings most of them, and renders help with more of its own.
    assert all_modules("--help") < int(bare.stdout) + 200


@pytest.mark.parametrize("command", ["info", "search", "verify"])
def test_no_command_imports_a_learning_library(
    folder: Path, gallery: Gallery, command: str
) -> None:
    index_images(folder, gallery)
    gallery.close()
    query = [folder / "even" / "0.png"] if command == "search" else []
    imported = modules_of(command, *query, "-g", gallery.path)
    assert imported & {"torch", "torchvision", "openvino", "nncf", "scipy", "pandas"} == set()


def test_statements_of_1_000_images(
    tmp_path: Path, gallery: Gallery, statements: list[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(1000):
        (photos / f"{number}.bmp").write_bytes(encode(picture(3, 3, seed=number), "BMP"))
    statements.clear()
    assert index_images(photos, gallery).added == 1000
    assert len(statements) <= 80
    statements.clear()
    assert index_images(photos, gallery).unchanged == 1000
    assert len(statements) <= 15


@pytest.mark.parametrize("k", [1, 6])
def test_a_query_is_one_search_of_the_index(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    index_images(folder, gallery)
    retriever = Retriever(gallery)
    retriever.warm_up()
    calls = counted(monkeypatch, LocalIndex, "search")
    retriever.search(folder / "even" / "0.png", k=k)
    assert calls["search"] == 1


def test_statements_of_a_search_do_not_depend_on_its_hits(
    folder: Path, gallery: Gallery, statements: list[str]
) -> None:
    index_images(folder, gallery)
    sent = []
    for k in (1, 6):
        with Gallery.open(gallery.path) as opened:  # so that it keeps no rows yet
            retriever = Retriever(opened)
            retriever.warm_up()
            statements.clear()
            assert len(retriever.search(folder / "even" / "0.png", k=k).hits) == k
            sent.append(len(statements))
    assert sent[0] == sent[1]
    assert sent[1] <= 6


@pytest.mark.parametrize("views", [("crop",), ("crop", "whole", "zoom")])
def test_an_image_is_decoded_once_whatever_is_seen_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: tuple[str, ...]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(20):
        (photos / f"{number}.jpg").write_bytes(encode(picture(seed=number), "JPEG"))
    spec, _ = resolve_spec("tiny_image", views=views, flip=True)  # type: ignore[arg-type]
    opened = counted(monkeypatch, JpegImageFile, "load_prepare")
    with Gallery.create(tmp_path / "gallery", spec) as gallery:
        assert index_images(photos, gallery).added == 20
    assert opened["load_prepare"] == 20


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("counts") / "catalog.sqlite"
    vectors = np.random.default_rng(0).normal(size=(IMAGES, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    catalog = Catalog.create(f"sqlite:///{path}", config(dim=DIM))
    catalog.write("/", Batch(images=[row(f"/{i}", v) for i, v in enumerate(vectors)]))
    catalog.close()
    return path


@pytest.mark.parametrize(("kind", "copies"), [("flat", 0.25), ("pq", 0.75)])
def test_copies_of_the_vectors(
    catalogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    copies: float,
) -> None:
    """As Python sees it: what FAISS keeps for itself is not in it."""
    # Of constant size for any gallery, and too large for this one.
    monkeypatch.setattr(PqIndex, "options", PqOptions(training_numbers=4096 * DIM))
    monkeypatch.setattr("cbir.indexes.row_file.BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("cbir.indexes.row_file.SPILL_BYTES", 1 << 18)
    catalog = Catalog.open(f"sqlite:///{catalogue}")
    catalog.change_config(lambda before: replace(before, index=kind))
    index = LocalIndex(IndexPlace(tmp_path / "vectors", DIM))
    assert peak(lambda: index.catch_up(catalog)) < copies * MATRIX
    query = np.ones((1, DIM), np.float32) / np.float32(DIM**0.5)
    index.search(query, 10)
    assert peak(lambda: index.search(query, 10)) < MATRIX / 4
    catalog.close()


def peak(work: Callable[[], object]) -> int:
    """Bytes that Python's and numpy's allocations reach above what is there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> Counter[str]:
    """How often a method is called from now on."""
    calls: Counter[str] = Counter()
    original = getattr(owner, name)

    def call(*arguments: object, **options: object) -> object:
        calls[name] += 1
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, call)
    return calls
