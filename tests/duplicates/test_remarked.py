"""Camera RAW is no copy of another file, and a damaged copy is not the one to keep."""

from __future__ import annotations

from pathlib import Path

from camera import camera_raw
from duplicates.copies import photograph
from factories import encode, folder_of

from cbir import Gallery, find_duplicates, find_known, index_images
from cbir.duplicates.decider import RAW

PHOTO = photograph("astronaut")


def test_raw_is_no_copy_of_its_jpeg(tmp_path: Path, gallery: Gallery) -> None:
    card = folder_of(
        tmp_path / "card",
        {
            "one.jpg": encode(PHOTO, "JPEG", quality=92),
            "one.dng": camera_raw(photo=PHOTO, preview=PHOTO.size),
            "small.jpg": encode(PHOTO.resize((192, 144)), "JPEG"),
            "other.jpg": encode(photograph("coffee"), "JPEG"),
        },
    )
    index_images(card, gallery)
    for verify in (False, True):
        result = find_duplicates(gallery, verify=verify)
        (group,) = result.groups
        assert (group.keeper.name, [image.name for image in group.others]) == (
            "one.jpg",
            ["small.jpg"],
        )
        assert {pair.reason for pair in result.alike} == {RAW}

    more = folder_of(
        tmp_path / "more",
        {
            "two.dng": camera_raw(photo=PHOTO, preview=PHOTO.size, order=">"),
            "two.jpg": encode(PHOTO, "JPEG", quality=80),
        },
    )
    compared = find_known(more, gallery)
    assert [Path(known.uri).name for known in compared.known] == ["two.jpg"]
    assert [Path(uri).name for uri in compared.new] == ["two.dng"]


def test_a_damaged_copy_is_not_the_one_kept(tmp_path: Path, gallery: Gallery) -> None:
    damaged = encode(PHOTO, "JPEG", quality=98)[:-2]
    whole = encode(PHOTO, "JPEG", quality=90)
    folder = folder_of(tmp_path / "photos", {"damaged.jpg": damaged, "whole.jpg": whole})
    index_images(folder, gallery)
    (group,) = find_duplicates(gallery).groups
    assert group.keeper.name == "whole.jpg"
