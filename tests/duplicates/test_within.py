"""Copies are found whatever was done to them; other photographs are none."""

from pathlib import Path

import numpy as np
import pytest
from duplicates.copies import PARTS, WHOLE, photograph
from factories import picture
from PIL import Image

from cbir import Gallery, index_images
from cbir.descriptors import ensure_descriptors
from cbir.duplicates import Duplicates, find_duplicates
from cbir.similarity.tiny import TINY_BYTES
from cbir.types import DescriptorRow


def names(found: Duplicates) -> list[list[str]]:
    """The images of each group, the keeper first."""
    return [[image.name for image in group.images] for group in found.groups]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_picture_is_found(shelf: Path, stocked: Gallery, name: str) -> None:
    WHOLE[name](photograph("coffee")).convert("RGB").save(shelf / "copy.jpg", quality=60)
    index_images(shelf, stocked)
    found = find_duplicates(stocked)
    assert [sorted(group) for group in names(found)] == [["coffee.png", "copy.jpg"]]
    (one,) = found.groups[0].evidence
    assert one.kind == "near"
    assert one.bits is not None
    forms = {
        "mirrored": "mirrored",
        "upside-down": "turned by 180°",
        "turned": "turned by 90°",
        "turned-back": "turned by 90°",
        "transposed": "mirrored and turned",
    }
    assert one.form == forms.get(name, "")


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_found_by_alignment(shelf: Path, stocked: Gallery, name: str) -> None:
    PARTS[name](photograph("coffee")).save(shelf / "copy.jpg", quality=85)
    index_images(shelf, stocked)
    assert find_duplicates(stocked).groups == ()
    found = find_duplicates(stocked, verify=True)
    assert [sorted(group) for group in names(found)] == [["coffee.png", "copy.jpg"]]
    (one,) = found.groups[0].evidence
    assert one.kind == "verified"
    assert (one.inliers or 0) >= 8
    assert found.verified_pairs is not None


def test_different_photographs_are_no_duplicates(stocked: Gallery) -> None:
    found = find_duplicates(stocked, verify=True)
    assert (found.groups, found.images, found.redundant) == ((), 4, 0)


def test_another_view_of_the_same_thing_is_no_copy(shelf: Path, stocked: Gallery) -> None:
    import cv2

    corners = np.array([[0, 0], [383, 0], [383, 287], [0, 287]], np.float32)
    seen = np.array([[25, 12], [383, 0], [350, 287], [8, 260]], np.float32)
    view = cv2.warpPerspective(
        np.asarray(photograph("coffee")), cv2.getPerspectiveTransform(corners, seen), (384, 288)
    )
    Image.fromarray(view).save(shelf / "view.png")
    index_images(shelf, stocked)
    assert find_duplicates(stocked, verify=True).groups == ()


def test_the_keeper_has_most_pixels_then_most_bytes_then_the_lowest_id(
    shelf: Path, stocked: Gallery
) -> None:
    coffee = photograph("coffee")
    coffee.resize((500, 375)).save(shelf / "large.jpg", quality=50)
    coffee.save(shelf / "poor.jpg", quality=40)
    coffee.save(shelf / "same-a.png", compress_level=1)
    (shelf / "same-b.png").write_bytes((shelf / "same-a.png").read_bytes())
    index_images(shelf, stocked)
    (group,) = names(find_duplicates(stocked))
    first, *others = group
    assert first == "large.jpg"
    assert others.index("same-a.png") + 1 == others.index("same-b.png")
    assert others[-1] == "poor.jpg"


def test_the_same_bytes_are_exact_even_where_nothing_can_be_seen(
    tmp_path: Path, gallery: Gallery
) -> None:
    folder = tmp_path / "dots"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (1, 1), "white").save(folder / f"{name}.png")
    index_images(folder, gallery)
    found = find_duplicates(gallery, verify=True)
    assert names(found) == [["a.png", "b.png", "c.png"]]
    assert found.groups[0].kinds == ("exact",)
    assert found.groups[0].bytes_saved == sum(i.size for i in found.groups[0].others)
    assert found.page(0, 5) == found.groups
    assert found.page(1, 5) == ()


def test_an_empty_gallery_has_none(gallery: Gallery) -> None:
    assert find_duplicates(gallery, verify=True).groups == ()


def test_what_was_made_of_images_is_kept(shelf: Path, stocked: Gallery) -> None:
    stages: list[tuple[str, int, int]] = []
    find_duplicates(stocked, progress=lambda *step: stages.append(step))
    assert ("describing", 4, 4) in stages
    assert stocked.catalog.without_descriptors("phash") == []
    stages.clear()
    for file in shelf.iterdir():
        file.unlink()
    found = find_duplicates(stocked, progress=lambda *step: stages.append(step))
    assert {stage for stage, *_ in stages} == {"comparing"}
    assert found.failed == ()


def test_a_file_that_is_gone_is_reported_and_stops_nothing(shelf: Path, stocked: Gallery) -> None:
    photograph("chelsea").resize((192, 144)).save(shelf / "small.png")
    index_images(shelf, stocked)
    (shelf / "rocket.png").unlink()
    found = find_duplicates(stocked, verify=True)
    assert names(found) == [["chelsea.png", "small.png"]]
    assert [Path(failure.uri).name for failure in found.failed] == ["rocket.png"]


def test_damaged_descriptors_are_made_anew(shelf: Path, stocked: Gallery) -> None:
    photograph("coffee").resize((192, 144)).save(shelf / "small.png")
    index_images(shelf, stocked)
    ensure_descriptors(stocked.catalog, "phash")
    known = stocked.catalog.indexed_images([record.uri for record, _ in stocked.catalog.scan()])
    rows = [DescriptorRow(k.id, k.content_hash, b"of another time") for k in known.values()]
    stocked.catalog.write_descriptors("phash", rows)
    assert names(find_duplicates(stocked)) == [["coffee.png", "small.png"]]
    ids = [k.id for k in known.values()]
    stored = stocked.catalog.descriptors(ids, "phash").values()
    assert {len(data) for data in stored} == {TINY_BYTES}


def test_dismissed_images_are_never_in_one_group(shelf: Path, stocked: Gallery) -> None:
    coffee = photograph("coffee")
    coffee.resize((192, 144)).save(shelf / "half.png")
    coffee.resize((768, 576)).save(shelf / "double.png")
    index_images(shelf, stocked)
    ids = {record.name: record.id for record, _ in stocked.catalog.scan()}
    assert len(names(find_duplicates(stocked))[0]) == 3
    stocked.catalog.dismiss([(ids["double.png"], ids["coffee.png"])])
    (group,) = names(find_duplicates(stocked, verify=True))
    assert len(group) == 2
    assert "half.png" in group
    coffee.resize((760, 570)).save(shelf / "double.png")
    index_images(shelf, stocked)
    assert len(names(find_duplicates(stocked))[0]) == 3


def test_a_whitened_gallery_finds_the_same(shelf: Path, stocked: Gallery) -> None:
    from cbir.config import Whitening

    PARTS["cropped"](photograph("coffee")).save(shelf / "copy.png")
    for number in range(45):
        picture(40, 30, seed=number).save(shelf / f"smooth-{number}.png")
    index_images(shelf, stocked)
    stocked.whiten(Whitening())
    (group,) = names(find_duplicates(stocked, verify=True))
    assert sorted(group) == ["coffee.png", "copy.png"]
