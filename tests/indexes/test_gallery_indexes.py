"""The indexes of one gallery: which kinds, when they are opened, what several handles see."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import outside_index
import pytest
from rows import batch, row, spec, unit
from terminal import cbir

from cbir import Gallery, Retriever, verify_gallery
from cbir.catalog.rows import ImageRow
from cbir.config import MULTI_CROP, Whitening
from cbir.errors import OptionError
from cbir.indexes.flat import FlatIndex
from cbir.indexes.local import LocalIndex
from cbir.indexes.registry import INDEXES, IndexInfo, choices, find_index, register_index

COUNT = 1100
"""Enough for the kinds that are trained."""
REGIONS = MULTI_CROP[:2]


def image(number: int, *, regions: bool = False) -> ImageRow:
    parts = np.stack([unit(50_000 + number), unit(70_000 + number)]) if regions else None
    return row(f"/{number}", unit(number), regions=parts)


def fill(gallery: Gallery, count: int, *, start: int = 0) -> None:
    gallery.write("/", batch(*(image(i) for i in range(start, start + count))))


def nearest(gallery: Gallery, seed: int) -> int:
    return int(gallery.search(unit(seed)[None], 1).ids[0, 0])


def saved_kind(gallery: Gallery, folder: str = "vectors") -> str:
    return str(json.loads((gallery.path / folder / "index.json").read_text())["kind"])


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "gallery", spec()) as gallery:
        fill(gallery, COUNT)
        yield gallery


@pytest.mark.parametrize("kind", [kind for kind in INDEXES if kind != "flat"])
def test_a_kind_that_another_handle_chose_stays(
    gallery: Gallery, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gallery.index().kind == "flat"
    with Gallery.open(gallery.path) as other:
        other.rebuild_index(kind)
    with monkeypatch.context() as patch:
        patch.setattr(LocalIndex, "_build", None)  # the files are there, and building would fail
        assert (gallery.index().kind, nearest(gallery, 7)) == (kind, 8)
    fill(gallery, 3, start=COUNT)
    gallery.update_indexes()
    assert (gallery.index().kind, saved_kind(gallery)) == (kind, kind)
    assert gallery.config.index == kind
    with Gallery.open(gallery.path) as again:
        assert (again.index().kind, nearest(again, COUNT + 1)) == (kind, COUNT + 2)


def test_a_kind_that_was_chosen_and_not_built_is_built_by_whoever_comes_next(
    gallery: Gallery,
) -> None:
    gallery.update_indexes()
    gallery.catalog.change_config(lambda config: replace(config, index="hnsw"))
    with Gallery.open(gallery.path) as other:
        assert other.index().kind == "hnsw"
    assert saved_kind(gallery) == "hnsw"


def test_regions_that_another_handle_added_are_searched(tmp_path: Path) -> None:
    with (
        Gallery.create(tmp_path / "gallery", spec()) as gallery,
        Gallery.open(tmp_path / "gallery") as other,
    ):
        fill(gallery, 5)
        assert nearest(gallery, 50_007) != 8
        assert gallery.region_index() is None
        other.add_regions(REGIONS)
        other.write("/", batch(image(7, regions=True)))
        other.update_indexes()
        found = gallery.search(unit(50_007)[None], 1)
        regions = gallery.region_index()
        assert (found.ids.tolist(), found.similarities.round(2).tolist()) == ([[6]], [[1]])
        assert found.regions is not None
        assert found.regions.tolist() == [[1]]
        assert regions is not None
        assert regions.count() == 2


def test_searches_that_do_not_wait_see_regions_once_their_index_is_there(tmp_path: Path) -> None:
    with (
        Gallery.create(tmp_path / "gallery", spec()) as gallery,
        Gallery.open(tmp_path / "gallery") as other,
    ):
        gallery.search_without_waiting()
        fill(other, 5)
        assert (gallery.index().kind, nearest(gallery, 3)) == ("scan", 4)
        gallery.update_indexes()
        assert (gallery.index().kind, nearest(gallery, 3)) == ("flat", 4)
        other.add_regions(REGIONS)
        other.write("/", batch(image(7, regions=True)))
        assert (gallery.index().kind, gallery.config.regions) == ("flat", ())
        assert gallery.index().count() == 5
        gallery.update_indexes()
        assert gallery.config.regions == REGIONS
        assert gallery.search(unit(50_007)[None], 1).ids.tolist() == [[6]]


def test_the_kind_is_foretold_as_it_is_built(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    dims = 4
    limit = replace(INDEXES["pq"], auto_above=COUNT * (dims + 1))
    monkeypatch.setitem(INDEXES, "pq", limit)
    assert gallery.index_kind() == gallery.index().kind == "pq"
    gallery.whiten(Whitening(dims=dims))
    gallery.rebuild_index()  # about as large as the limit, it would stay as it is
    for made in (True, False):
        if not made:
            shutil.rmtree(gallery.path / "vectors")
        with Gallery.open(gallery.path) as again, monkeypatch.context() as patch:
            patch.setattr(FlatIndex, "load", None)  # to tell the kind none is loaded
            assert again.index_kind() == gallery.index().kind == "flat"


@pytest.mark.parametrize("wrong", ["hnws", "", "AUTO", "milvus"])
def test_an_unknown_kind_is_refused_and_the_known_are_listed(
    gallery: Gallery, tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(OptionError, match="there are auto, flat, hnsw, ivf, pq"):
        gallery.rebuild_index(wrong)
    with pytest.raises(OptionError, match="no index kind"):
        Gallery.create(tmp_path / "another", spec(), index=wrong)
    assert not (tmp_path / "another").exists()
    assert gallery.config.index == "auto"
    with pytest.raises(OptionError, match="did you mean 'hnsw'"):
        find_index("hnws")


def test_a_name_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.indexes.registry.INDEXES", dict(INDEXES))
    info = IndexInfo(name="mine", help="mine", structure="mine:Index")
    register_index(info)
    register_index(info)
    for taken in ("mine", "flat", "auto"):
        with pytest.raises(ValueError, match=f"there is an index kind '{taken}' already"):
            register_index(IndexInfo(name=taken, help="other", structure="other:Index"))


@pytest.mark.parametrize(
    "info",
    [
        IndexInfo(name="toy", help="a dictionary", structure="toy_index:DictStructure", exact=True),
        IndexInfo(name="toy", help="elsewhere", index="toy_index:ServerIndex", exact=True),
    ],
    ids=["kept in files", "kept elsewhere"],
)
def test_a_kind_from_outside_takes_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: IndexInfo
) -> None:
    shutil.copy(outside_index.__file__, tmp_path / "toy_index.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(INDEXES, "toy", raising=False)
    register_index(info)
    try:
        use(tmp_path / "gallery", "toy" if info.structure else "server")
    finally:
        del INDEXES["toy"]
    with Gallery.open(tmp_path / "gallery") as gallery:
        for wanted in (gallery.index, gallery.index_kind, gallery.update_indexes):
            with pytest.raises(OptionError, match=r"kind 'toy'.*cbir rebuild --index auto"):
                wanted()
        gallery.rebuild_index("auto")
        assert (gallery.index().kind, gallery.index().count()) == ("flat", 6)


def test_a_kind_that_is_not_registered_can_be_left_by_the_command_that_the_error_names(
    gallery: Gallery,
) -> None:
    toy = IndexInfo(name="toy", help="of another program", structure="toy_index:DictStructure")
    register_index(toy)
    try:
        gallery.catalog.change_config(lambda config: replace(config, index="toy"))
    finally:
        del INDEXES["toy"]
    refused = cbir("info", "-g", gallery.path)
    assert (refused.code, refused.out) == (1, "")
    step = f"rebuild --index auto --gallery {gallery.path}"
    assert f"gallery {gallery.path}: no index kind 'toy'" in refused.err.replace("\n", " ")
    assert f"'cbir {step}' builds another index" in refused.err.replace("\n", " ")
    assert cbir(*step.split()).code == 0
    assert "exact index" in cbir("info", "-g", gallery.path).out
    assert nearest(gallery, 3) == 4


def test_saved_files_of_a_kind_that_is_not_registered_are_built_anew(gallery: Gallery) -> None:
    gallery.update_indexes()
    manifest = gallery.path / "vectors" / "index.json"
    manifest.write_text(manifest.read_text().replace('"flat"', '"toy"'))
    with Gallery.open(gallery.path) as again:
        assert again.index_kind() == again.index().kind == "flat"


def use(path: Path, kind: str) -> None:
    """Create a gallery with a kind `toy`, and do what one does with a gallery."""
    with Gallery.create(path, spec(), index="toy") as gallery, Gallery.open(path) as other:
        fill(gallery, 5)
        assert (gallery.index().kind, nearest(gallery, 3)) == (kind, 4)
        assert [hit.image.id for hit in Retriever(gallery).search(1, k=9).hits] != []
        assert gallery.index_kind() == "toy"
        gallery.remove([2])
        fill(gallery, 1, start=5)
        assert (nearest(other, 5), other.index().count()) == (6, 5)
        assert verify_gallery(gallery).ok
        gallery.rebuild_index("flat")
        assert (gallery.index().kind, other.index().kind) == ("flat", "flat")
        gallery.rebuild_index("toy")
        assert (gallery.index().kind, other.index().kind) == (kind, kind)
        gallery.add_regions(REGIONS)
        gallery.write("/", batch(image(7, regions=True)))
        for one in (gallery, other):
            assert one.search(unit(50_007)[None], 1).ids.tolist() == [[7]]
            assert verify_gallery(one).ok


def test_the_command_line_names_the_kinds_there_are(gallery: Gallery) -> None:
    wrong = cbir("rebuild", "--index", "hnws", "-g", gallery.path)
    assert (wrong.code, wrong.out) == (2, "")
    assert "did you mean 'hnsw'? there are auto, flat, hnsw, ivf, pq" in wrong.err
    help_text = cbir("rebuild", "--help").out
    assert all(name in help_text for name in choices())
    assert "hnsw index" in cbir("rebuild", "--index", "hnsw", "-g", gallery.path).out
    assert "hnsw index" in cbir("info", "-g", gallery.path).out
