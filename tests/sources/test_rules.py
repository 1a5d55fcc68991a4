"""What a folder, bucket or tar leaves out: patterns, .cbirignore, and other programs' folders."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from factories import encode, folder_for_everyone, plain, unprivileged
from terminal import cbir

from cbir import Gallery, index_images
from cbir.errors import OptionError, SourceError
from cbir.sources import SelectiveSource, SourceImage, open_source
from cbir.sources.rules import DEFAULT_EXCLUDES, ListingRules
from cbir.types import FailedImage

PNG = encode(plain("red", 2, 2))


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    return folder


def listed(source: SelectiveSource) -> list[str]:
    return sorted(image.name for image in source if isinstance(image, SourceImage))  # type: ignore[attr-defined]


def opened(folder: Path, **options: list[str]) -> SelectiveSource:
    source = open_source(folder, **options)  # type: ignore[arg-type]
    assert isinstance(source, SelectiveSource)
    assert source.count() == len(list(source))
    return source


FILES = ("a.png", "b.jpg", "x/a.png", "x/y/b.jpg", "z/a.png")


@pytest.mark.parametrize(
    ("exclude", "include", "expected"),
    [
        (["*.jpg"], [], "a.png x/a.png z/a.png"),
        (["x/"], [], "a.png b.jpg z/a.png"),
        (["/a.png"], [], "b.jpg x/a.png x/y/b.jpg z/a.png"),
        (["a.png", "!x/a.png"], [], "b.jpg x/a.png x/y/b.jpg"),
        (["*", "!*/", "!*.jpg"], [], "b.jpg x/y/b.jpg"),
        (["x/**/b.jpg"], [], "a.png b.jpg x/a.png z/a.png"),
        (["# a.png", " "], [], None),
        (["[ab].png", "z"], [], "b.jpg x/y/b.jpg"),
        ([], ["*.png"], "a.png x/a.png z/a.png"),
        ([], ["x/", "z/"], "x/a.png x/y/b.jpg z/a.png"),
        (["y/"], ["x/"], "x/a.png"),
        (["!"], [], None),
        ([], [""], None),
    ],
)
def test_patterns_are_those_of_a_gitignore(
    tmp_path: Path, exclude: list[str], include: list[str], expected: str | None
) -> None:
    lay(tmp_path, *FILES)
    if expected is None:
        with pytest.raises(OptionError, match="is no pattern; write one as in a"):
            open_source(tmp_path, exclude=exclude, include=include)
        return
    source = opened(tmp_path, exclude=exclude, include=include)
    assert listed(source) == expected.split()
    for name in FILES:
        assert source.excludes(str(tmp_path / name)) == (name not in expected.split())


def test_an_ignore_file_applies_to_its_folder_and_below(tmp_path: Path) -> None:
    lay(tmp_path, *FILES, "x/y/a.png", "x/y/c.png")
    (tmp_path / ".cbirignore").write_text("\n# ours\n\n  \n*.jpg  \n\n")
    (tmp_path / "x" / ".cbirignore").write_text("\ufeff/a.png\r\n!b.jpg\r\n")
    source = opened(tmp_path)
    assert listed(source) == ["a.png", "x/y/a.png", "x/y/b.jpg", "x/y/c.png", "z/a.png"]
    assert source.skipped.excluded == {"*.jpg": 1, "/a.png": 1}
    assert source.excludes(f"{tmp_path}/x/a.png")
    assert listed(opened(tmp_path, exclude=["!/b.jpg"]))[1] == "b.jpg"
    (tmp_path / ".cbirignore").unlink()
    assert "b.jpg" in listed(source)


def test_a_mistake_in_an_ignore_file_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "x/a.png")
    (tmp_path / "x" / ".cbirignore").write_text("*.gif\n!\n")
    with pytest.raises(SourceError, match=r"x/\.cbirignore, line 2: '!' is no pattern"):
        list(open_source(tmp_path))


def test_a_folder_whose_ignore_file_cannot_be_read_is_not_indexed() -> None:
    with folder_for_everyone() as folder:
        lay(folder, "a.png", "x/b.png")
        (folder / "x" / ".cbirignore").write_text("b.png\n")
        (folder / "x" / ".cbirignore").chmod(0)
        with unprivileged():
            source = open_source(folder)
            image, failure = list(source)
        assert isinstance(image, SourceImage)
        assert isinstance(failure, FailedImage)
        assert failure.uri == f"{folder}/x"
        assert failure.reason == f"{folder}/x/.cbirignore: cannot be read: Permission denied"


@pytest.mark.parametrize("pattern", DEFAULT_EXCLUDES)
@pytest.mark.parametrize("spelled", [str, str.swapcase])
def test_folders_of_other_programs_are_left_out(pattern: str, spelled: type) -> None:
    folder = spelled(pattern.removesuffix("/").replace("*", "Shop"))
    rules = ListingRules()
    assert rules.pattern(f"2026/{folder}/a.png") == pattern
    assert rules.pattern(f"2026/{folder}") is None  # a file of that name
    assert ListingRules(exclude=("!**/",)).pattern(f"2026/{folder}/a.png") is None


def test_other_programs_folders_can_be_taken_back(tmp_path: Path) -> None:
    lay(tmp_path, "a.png", "@eaDir/a.png", "Photos.photoslibrary/originals/b.png")
    source = opened(tmp_path)
    assert listed(source) == ["Photos.photoslibrary/originals/b.png", "a.png"]
    assert source.skipped.excluded == {"@eaDir/": 1}
    assert "@eaDir/a.png" in listed(opened(tmp_path, exclude=["!@eaDir/"]))


def test_a_bucket_has_the_same_rules(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    import fsspec

    bucket = fsspec.filesystem("memory")
    for name in ("a.png", "b.gif", "@eaDir/a.png", "x/c.png", "notes.psd"):
        bucket.pipe(f"/rules/{name}", PNG)
    source = open_source("memory:///rules", exclude=["x/"], include=["*.png"])
    assert isinstance(source, SelectiveSource)
    assert [image.name for image in source if isinstance(image, SourceImage)] == ["a.png"]
    assert source.skipped.excluded == {"@eaDir/": 1, "x/": 1, "--include": 1}
    assert source.skipped.files == {}  # `--include` leaves it out before it is looked at


def test_a_tar_has_the_same_rules(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a.png", "__MACOSX/b.png", "raw/c.png", "d.psd", "a.json"):
            info = tarfile.TarInfo(name)
            data = b"{}" if name.endswith(".json") else PNG
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    source = opened(tmp_path / "a.tar", exclude=["raw/"])
    assert listed(source) == ["a.tar/a.png"]
    assert source.skipped.files == {".psd": 1}
    assert source.skipped.excluded == {"__MACOSX/": 1, "raw/": 1}
    assert source.excludes(f"{tmp_path}/a.tar/raw/c.png")


def test_a_manifest_takes_no_patterns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path\n")
    for path in (tmp_path / "a.csv", lay(tmp_path, "b.png") / "b.png"):
        with pytest.raises(SourceError, match="are for folders, tars and buckets"):
            open_source(path, exclude=["*.gif"])


# The report


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    shelf = lay(tmp_path / "shelf", "a.png", "@eaDir/a.png", "raw/b.png", "old.gif")
    for name in ("1.psd", "2.PSD", "3.cr9", "feed.csv", "README", "a.b c"):
        (shelf / name).write_bytes(b"none of ours")
    where = tmp_path / "gallery"
    run = cbir("index", shelf, "-g", where, "--backbone", "tiny_image", "--exclude", "raw/",
               "--exclude", "*.gif")  # fmt: skip
    assert run.code == 0
    assert (
        "skipped 6 files that are no images cbir reads: 1 .csv (index by name), "
        "2 without a suffix, 2 .psd, 1 .cr9\n"
        "left out 1 by '*.gif', 1 by '@eaDir/', 1 by 'raw/'\n"
    ) in run.out
    run = cbir("index", shelf, "-g", where, "--json", "--include", "*.gif")
    assert json.loads(run.out)["left_out"] == {
        "files": {},  # `--include` leaves them out before they are looked at
        "excluded": {"@eaDir/": 1, "--include": 2},
        "images": 1,
    }


def test_images_that_are_excluded_later_stay_until_they_are_pruned(
    tmp_path: Path, gallery: Gallery
) -> None:
    shelf = lay(tmp_path / "shelf", "a.png", "b.png", "x/c.png")
    index_images(shelf, gallery)
    (shelf / ".cbirignore").write_text("x/\n")
    run = cbir("index", shelf, "-g", gallery.path)
    assert (
        "left out 1 by 'x/'\n1 image of the gallery is left out now, too, and stays; the same "
        "command with --prune removes it\n"
    ) in run.out
    assert gallery.count() == 3
    assert (
        "would remove  1  x/c.png"
        in cbir("index", shelf, "-g", gallery.path, "--prune", "--dry-run").out
    )
    assert "removed 1" in cbir("index", shelf, "-g", gallery.path, "--prune").out
    report = index_images(open_source(shelf, exclude=["!x/"]), gallery)
    assert (report.added, report.left_out.images) == (1, 0)
