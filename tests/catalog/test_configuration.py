"""Configuration under two handles: every change is a transaction, and no change undoes another."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import batch, config, row, spec, unit

from cbir import export_gallery, import_gallery
from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import RegionRow
from cbir.config import GalleryConfig, Region, Whitening
from cbir.errors import GalleryError
from cbir.gallery import Gallery
from cbir.integrity import verify_gallery

HALVES: tuple[Region, ...] = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0))

Change = Callable[[Gallery], None]


def whiten(whitening: Whitening | None) -> Change:
    return lambda gallery: gallery.whiten(whitening)


def add_regions(gallery: Gallery) -> None:
    gallery.add_regions(HALVES)
    rows = [
        RegionRow(image.id, bytes.fromhex(image.content), np.stack([unit(image.id), unit(99)]))
        for image in gallery.catalog.records(gallery.catalog.without_regions()).values()
    ]
    gallery.catalog.write_regions(rows)


def rebuild(kind: str) -> Change:
    return lambda gallery: gallery.rebuild_index(kind)


def calibrate(digest: str) -> Change:
    """What `Gallery.quantise` writes, without a network to quantise."""
    return lambda gallery: _calibrate(gallery, digest)


def _calibrate(gallery: Gallery, digest: str) -> None:
    gallery.catalog.change_config(lambda config: replace(config, calibration=digest))


# Each change with what it does to a plain configuration; `fitted` is whatever was fitted.
STEPS: dict[str, tuple[Change, Callable[[GalleryConfig], GalleryConfig]]] = {
    "centre": (whiten(Whitening()), lambda c: replace(c, whitening=Whitening())),
    "whiten": (
        whiten(Whitening(0.5, 0.1, 8)),
        lambda c: replace(c, whitening=Whitening(0.5, 0.1, 8)),
    ),
    "plain": (whiten(None), lambda c: replace(c, whitening=None)),
    "regions": (add_regions, lambda c: replace(c, regions=HALVES)),
    "hnsw": (rebuild("hnsw"), lambda c: replace(c, index="hnsw")),
    "flat": (rebuild("flat"), lambda c: replace(c, index="flat")),
    "int8": (calibrate("c0ffee"), lambda c: replace(c, calibration="c0ffee")),
}


def fill(gallery: Gallery, count: int) -> None:
    start = gallery.count()
    rows = (row(f"/{i}", unit(i)) for i in range(start, start + count))
    gallery.write("/", batch(*rows))


def unfitted(config: GalleryConfig) -> GalleryConfig:
    """Without the digest of what was fitted, which a model cannot foretell."""
    return replace(config, whitening=config.whitening and replace(config.whitening, fitted=""))


step = st.tuples(st.integers(0, 1), st.sampled_from([*STEPS, "more images", "reopen"]))


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(step, min_size=2, max_size=6))
def test_no_change_of_one_handle_undoes_that_of_another(steps: list[tuple[int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), steps)


def test_whitening_outlives_regions_that_another_handle_adds(tmp_path: Path) -> None:
    check(tmp_path, [(0, "whiten"), (1, "regions")])
    check(tmp_path / "the other way", [(1, "regions"), (0, "whiten"), (1, "int8"), (0, "hnsw")])


def check(folder: Path, steps: list[tuple[int, str]]) -> None:
    """Take the steps, (handle, name), and compare the configuration with a plain model of it."""
    folder.mkdir(exist_ok=True)
    path = folder / "gallery"
    handles = [Gallery.create(path, spec()), Gallery.open(path)]
    try:
        fill(handles[0], 60)
        model = handles[0].config
        for handle, name in steps:
            if name == "reopen":
                handles[handle].close()
                handles[handle] = Gallery.open(path)
            elif name == "more images":
                fill(handles[handle], 3)
            else:
                change, expected = STEPS[name]
                change(handles[handle])
                model = expected(model)
            assert [unfitted(gallery.config) for gallery in handles] == [model, model]
        for number, gallery in enumerate(handles):
            report = verify_gallery(gallery)
            assert (report.catalog_problems, report.index_problems) == ((), ())
            file = folder / f"{number}.npy"
            export_gallery(gallery, file)
            import_gallery(file, folder / f"imported {number}")
            with Gallery.open(folder / f"imported {number}") as imported:
                assert imported.config == gallery.config
    finally:
        for gallery in handles:
            gallery.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.sqlite'}"


def test_a_change_that_is_refused_leaves_what_was(url: str) -> None:
    catalog = Catalog.create(url, config())

    def refuse(_: GalleryConfig) -> GalleryConfig:
        raise GalleryError("no")

    with pytest.raises(GalleryError, match="no"):
        catalog.change_config(refuse)
    with pytest.raises(ValueError, match="spec and whitening"):
        catalog.change_config(lambda c: replace(c, spec=spec(8)))
    with pytest.raises(ValueError, match="another projection"):
        catalog.set_whitening(Whitening(fitted="0" * 16), None)
    assert catalog.config == config()
    catalog.close()


def test_the_configuration_is_read_once_until_somebody_commits(
    url: str, statements: list[str]
) -> None:
    catalog, other = Catalog.create(url, config()), Catalog.open(url)
    assert catalog.config == other.config == config()
    statements.clear()
    assert (catalog.config, catalog.spec, catalog.generation()) == (config(), spec(), 0)
    assert statements == []
    other.change_config(lambda c: replace(c, index="pq"))
    assert catalog.config.index == "pq"
    with catalog.snapshot() as snapshot:
        other.change_config(lambda c: replace(c, index="flat"))
        assert (snapshot.config.index, catalog.config.index) == ("pq", "flat")
    catalog.close()
    other.close()
