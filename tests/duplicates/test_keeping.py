"""Which image is kept, and what is no saving: rules, parts of others, and links."""

import os
from pathlib import Path

import pytest
from duplicates.copies import photograph
from terminal import cbir

from cbir import Gallery, index_images
from cbir.duplicates import Duplicates, find_duplicates, keep_rule
from cbir.errors import OptionError


def kept(found: Duplicates) -> list[str]:
    return [group.keeper.name for group in found.groups]


@pytest.fixture
def versions(tmp_path: Path, gallery: Gallery) -> Path:
    """One photograph as a large JPEG, an older TIFF, and a small, new PNG in a folder."""
    folder = tmp_path / "versions"
    (folder / "mine [1]").mkdir(parents=True)
    coffee = photograph("coffee")
    coffee.resize((576, 432)).save(folder / "large.jpg")
    coffee.save(folder / "scan.tif")
    coffee.resize((300, 225)).save(folder / "mine [1]" / "small.png")
    for age, name in enumerate(("mine [1]/small.png", "large.jpg", "scan.tif")):
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    index_images(folder, gallery)
    return folder


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("largest", "large.jpg"),
        ("original-format", "scan.tif"),
        ("oldest", "scan.tif"),
        ("newest", "mine [1]/small.png"),
        ("folder:mine*", "mine [1]/small.png"),
        ("folder:*/versions/mine*", "mine [1]/small.png"),
        ("folder:elsewhere", "large.jpg"),
    ],
)
def test_a_rule_chooses_what_is_kept(
    versions: Path, gallery: Gallery, rule: str, name: str
) -> None:
    found = find_duplicates(gallery, keep=rule)
    assert kept(found) == [name]
    assert len(found.groups[0].others) == 2
    run = cbir("duplicates", "-g", gallery.path, "--keep", rule, "--json")
    assert run.code == 0
    assert f'"name": "{name}"' in run.out or name in run.out


def test_an_unknown_rule_is_said(gallery: Gallery, tmp_path: Path) -> None:
    for rule in ("biggest", "folder:", ""):
        with pytest.raises(OptionError, match="largest, original-format, oldest, newest, folder"):
            keep_rule(rule)
    run = cbir("duplicates", "-g", gallery.path, "--keep", "biggest")
    assert (run.code, "no rule 'biggest'" in run.err) == (1, True)
    run = cbir("duplicates", tmp_path, "--against", gallery.path, "--keep", "oldest")
    assert (run.code, "--keep goes without --against" in run.err) == (2, True)


def test_a_part_never_replaces_the_whole(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    coffee = photograph("coffee")
    coffee.save(folder / "whole.png")
    coffee.crop((60, 40, 340, 250)).resize((1120, 840)).save(folder / "part.jpg", quality=90)
    index_images(folder, gallery)
    for rule in ("largest", "newest", "oldest", "folder:parts"):
        found = find_duplicates(gallery, verify=True, keep=rule)
        assert kept(found) == ["whole.png"]


def test_two_pictures_that_share_a_part_are_not_joined(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "posters"
    folder.mkdir()
    shared = photograph("coffee")
    shared.save(folder / "shared.png")
    for name, other in (("left", "astronaut"), ("right", "rocket")):
        poster = shared.resize((384, 520))
        poster.paste(shared, (0, 0))
        poster.paste(photograph(other).resize((384, 232)), (0, 288))
        poster.save(folder / f"{name}.png")
    index_images(folder, gallery)
    found = find_duplicates(gallery, verify=True)
    gone = {image.name for group in found.groups for image in group.others}
    assert gone <= {"shared.png"}


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links_are_no_savings(tmp_path: Path, gallery: Gallery, link: str) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    photograph("coffee").save(folder / "a.png")
    photograph("rocket").save(folder / "r.png")
    if link == "hard":
        (folder / "b.png").hardlink_to(folder / "a.png")
    else:
        (folder / "b.png").symlink_to(folder / "a.png")
    index_images(folder, gallery)
    found = find_duplicates(gallery)
    assert (found.groups, found.redundant, found.bytes_saved) == ((), 0, 0)


def test_a_copy_with_two_names_is_saved_once(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    photograph("coffee").resize((576, 432)).save(folder / "large.png")
    photograph("coffee").save(folder / "a.png")
    (folder / "b.png").hardlink_to(folder / "a.png")
    (folder / "large-again.png").hardlink_to(folder / "large.png")
    index_images(folder, gallery)
    (group,) = find_duplicates(gallery).groups
    assert [image.name for image in group.others] == ["a.png", "b.png"]
    assert [image.name for image in group.links] == ["large.png"] or [
        image.name for image in group.links
    ] == ["large-again.png"]
    assert group.bytes_saved == (folder / "a.png").stat().st_size
    (tmp_path / "elsewhere.png").hardlink_to(folder / "a.png")
    (group,) = find_duplicates(gallery).groups
    assert group.bytes_saved == 0
    assert "links to files of these groups" in cbir("duplicates", "-g", gallery.path).out
