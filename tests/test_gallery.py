import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cbir import Gallery, Retriever, index_images, resolve_spec
from cbir.errors import (
    BackboneError,
    GalleryExistsError,
    GalleryNotFoundError,
    NotFoundError,
    SpecMismatchError,
    WeightsError,
)


def test_a_gallery_is_bound_to_its_spec(gallery: Gallery, tmp_path: Path) -> None:
    spec = gallery.spec
    with Gallery.open(gallery.path, spec=spec) as again:
        assert again.spec == spec
        assert again.spec.fingerprint == spec.fingerprint
    other = replace(spec, backbone="resnet50")
    with pytest.raises(SpecMismatchError, match="backbone: tiny_image against resnet50"):
        Gallery.open(gallery.path, spec=other)


def test_create_refuses_where_there_is_one(gallery: Gallery) -> None:
    with pytest.raises(GalleryExistsError, match="already"):
        Gallery.create(gallery.path, gallery.spec)


def test_open_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(GalleryNotFoundError, match="'cbir index FOLDER --gallery"):
        Gallery.open(tmp_path / "nowhere")


def test_the_default_is_the_embedded_network(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "default") as gallery:
        assert gallery.spec.backbone == "efficientnet_lite0"
        assert gallery.spec.dim == 1280


def test_a_backbone_is_named_with_its_options(tmp_path: Path) -> None:
    options: dict[str, Any] = {"views": ("crop", "zoom"), "flip": True}
    with Gallery.create(tmp_path / "tiny", backbone="tiny_image", **options) as gallery:
        assert (gallery.spec, gallery.config.weights_from) == resolve_spec("tiny_image", **options)
    options = {"pooling": "gem", "input_size": 192}
    with Gallery.create(tmp_path / "lite", backbone="efficientnet_lite0", **options) as gallery:
        assert (gallery.spec, gallery.config.weights_from) == resolve_spec(**options)


def test_weights_are_those_that_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.write_bytes(b"a checkpoint is opened when it is needed")
    with Gallery.create(tmp_path / "lite", weights_from=str(file)) as gallery:
        assert (gallery.spec, gallery.config.weights_from) == resolve_spec(weights=str(file))
        assert gallery.config.weights_from == str(file)
    with Gallery.create(
        tmp_path / "resnet", backbone="resnet18", weights_from=str(file)
    ) as gallery:
        assert gallery.spec.backbone == "resnet18"
    for name in ("IMAGENET1K_V9", str(tmp_path / "nothing.pth")):
        with pytest.raises(WeightsError, match=r"no weights .* for efficientnet_lite0"):
            Gallery.create(tmp_path / "none", weights_from=name)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "options",
    [{"backbone": "resnet18"}, {"pooling": "gem"}, {"input_size": 64}, {"flip": False}],
)
def test_what_a_spec_fixes_is_not_given_beside_it(
    gallery: Gallery, tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=f"a spec fixes {next(iter(options))}; leave one"):
        Gallery.create(tmp_path / "other", gallery.spec, **options)


def test_a_misspelt_backbone_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="did you mean 'resnet50'"):
        Gallery.create(tmp_path / "g", backbone="resnet5")


def test_a_creation_that_was_killed_leaves_room_for_another(tmp_path: Path) -> None:
    path = tmp_path / "gallery"
    path.mkdir()
    (path / "catalog.sqlite").touch()
    with pytest.raises(GalleryNotFoundError):
        Gallery.open(path)
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(path, spec) as gallery:
        assert gallery.count() == 0


def test_images_are_found_by_id_path_and_uri(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    record = gallery.image(4)
    path = folder / "odd" / "1.png"
    assert gallery.find("id:4") == record
    assert gallery.find(str(path)) == record
    assert gallery.find(os.path.relpath(path)) == record
    assert gallery.find(record.uri) == record
    for wrong in ("id:99", "odd/1.png", ""):
        with pytest.raises(NotFoundError):
            gallery.find(wrong)


def test_what_is_removed_is_not_found_and_its_file_stays(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    gone = gallery.image(2)
    assert gallery.remove([2, 2, 77]) == 1
    assert gallery.count() == 5
    assert all(hit.image.id != 2 for hit in Retriever(gallery).search(1).hits)
    assert Path(gone.uri).exists()


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "flat"])
def test_the_index_can_become_another_kind(folder: Path, gallery: Gallery, kind: str) -> None:
    index_images(folder, gallery)
    before = [hit.image.id for hit in Retriever(gallery).search(1).hits]
    gallery.rebuild_index(kind)
    assert [hit.image.id for hit in Retriever(gallery).search(1).hits] == before
    path = gallery.path
    gallery.close()
    with Gallery.open(path) as again:
        assert again.config.index == kind


def test_a_gallery_whose_index_is_gone_answers_as_before(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    before = [hit.image.id for hit in Retriever(gallery).search(1).hits]
    shutil.rmtree(gallery.path / "vectors")
    with Gallery.open(gallery.path) as again:
        assert [hit.image.id for hit in Retriever(again).search(1).hits] == before


def test_a_gallery_can_be_moved(folder: Path, gallery: Gallery, tmp_path: Path) -> None:
    index_images(folder, gallery)
    gallery.close()
    gallery.path.rename(tmp_path / "elsewhere")
    with Gallery.open(tmp_path / "elsewhere") as moved:
        assert moved.count() == 6
        assert len(Retriever(moved).search(1).hits) == 5


def test_odd_characters_in_the_path(tmp_path: Path) -> None:
    spec, _ = resolve_spec("tiny_image")
    path = tmp_path / "a gallery? of #100% ünïcode"
    with Gallery.create(path, spec) as gallery:
        assert gallery.count() == 0
    assert (path / "catalog.sqlite").is_file()
