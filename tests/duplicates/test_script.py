"""The script is run, in a folder of files with the worst of names."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from duplicates.copies import photograph
from factories import encode

from cbir import Gallery, index_images
from cbir.duplicates import find_duplicates, removals_of, write_script
from cbir.duplicates.script import Removal, removal_script
from cbir.sources.paths import path_to_uri
from cbir.sources.reading import content_hash

NAMES = [
    b"it's.png",
    b'"quoted" $(touch pwned) `touch pwned`.png',
    b"-rf.png",
    b"two\nlines.png",
    b"back\\slash\\.png",
    b"\xff\xfe not utf-8.png",
    "ünïcode …​.png".encode(),
    b" space at both ends .png",
    b"#comment; touch pwned.png",
    b"*.png",
]


def run(script: Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", script], cwd=cwd, capture_output=True, check=True)


def left(folder: Path) -> set[bytes]:
    return {os.fsencode(file.name) for file in folder.iterdir()}


def test_copies_go_and_all_else_stays(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "-odd 'folder'"
    folder.mkdir()
    large = encode(photograph("coffee").resize((500, 375)))
    (folder / "keep.png").write_bytes(large)
    (folder / "other.png").write_bytes(encode(photograph("rocket")))
    copy = encode(photograph("coffee"))
    for name in NAMES:
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(copy)
    index_images(folder, gallery)
    write_script(tmp_path / "remove.sh", removals_of(find_duplicates(gallery).groups))
    assert len(left(folder)) == 2 + len(NAMES)
    assert os.access(tmp_path / "remove.sh", os.X_OK)
    done = run(tmp_path / "remove.sh", folder)
    assert left(folder) == {b"keep.png", b"other.png"}
    assert done.stdout.count(b"removed: ") == len(NAMES)
    again = run(tmp_path / "remove.sh", tmp_path)
    assert again.stderr.count(b"gone already") == len(NAMES)
    assert left(folder) == {b"keep.png", b"other.png"}


def test_it_speaks_for_itself(tmp_path: Path) -> None:
    text = removal_script([]).decode()
    assert text.startswith("#!/bin/sh\n# Removes copies")
    assert "which has removed nothing itself" in text
    (tmp_path / "s").write_text(text)
    subprocess.run(["sh", "-n", tmp_path / "s"], check=True)


def removal(keeper: Path, copy: Path) -> Removal:
    """The removal of a file for another, with the hashes of what they hold now."""
    contents = [content_hash(file.read_bytes()).hex() for file in (keeper, copy)]
    return Removal(path_to_uri(keeper), contents[0], path_to_uri(copy), contents[1])


def replace_by_link(keeper: Path, copy: Path) -> None:
    copy.unlink()
    copy.symlink_to(keeper)


def replace_by_hard_link(keeper: Path, copy: Path) -> None:
    copy.unlink()
    copy.hardlink_to(keeper)


def replace_by_folder(keeper: Path, _: Path) -> None:
    keeper.unlink()
    keeper.mkdir()


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    "keeper gone": lambda keeper, _: keeper.unlink(),
    "keeper changed": lambda keeper, _: keeper.write_bytes(b"another picture"),
    "keeper overwritten, of equal size": lambda keeper, _: keeper.write_bytes(
        keeper.read_bytes()[::-1]
    ),
    "copy changed": lambda _, copy: copy.write_bytes(b"another picture"),
    "copy overwritten, of equal size": lambda _, copy: copy.write_bytes(copy.read_bytes()[::-1]),
    "copy is a link now": replace_by_link,
    "copy is a hard link now": replace_by_hard_link,
    "keeper is a folder now": replace_by_folder,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("same", [True, False], ids=["same bytes", "same picture"])
def test_what_has_changed_since_is_left(tmp_path: Path, change: str, same: bool) -> None:
    keeper, copy = tmp_path / "a", tmp_path / "b"
    keeper.write_bytes(b"12345")
    copy.write_bytes(b"12345" if same else b"12367")
    write_script(tmp_path / "s", [[removal(keeper, copy)]])
    CHANGES[change](keeper, copy)
    done = run(tmp_path / "s", tmp_path)
    assert copy.exists()
    assert done.stderr.startswith(b"left, ")
    assert done.stdout == b""


def test_uncompressed_scans_of_one_size_are_told_apart(tmp_path: Path, gallery: Gallery) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    coffee = encode(photograph("coffee"), "BMP")
    (folder / "a-keep.bmp").write_bytes(coffee)
    (folder / "b-copy.bmp").write_bytes(coffee)
    index_images(folder, gallery)
    write_script(tmp_path / "s", removals_of(find_duplicates(gallery).groups))
    (folder / "a-keep.bmp").write_bytes(encode(photograph("rocket"), "BMP"))
    run(tmp_path / "s", tmp_path)
    assert (folder / "b-copy.bmp").read_bytes() == coffee


def test_hashes_are_compared_without_b2sum(tmp_path: Path) -> None:
    keeper, copy, changed = (tmp_path / name for name in "abc")
    for file in (keeper, copy, changed):
        file.write_bytes(file.name.encode())
    write_script(tmp_path / "s", [[removal(keeper, copy), removal(keeper, changed)]])
    changed.write_bytes(b"d")
    tools = tmp_path / "tools"
    tools.mkdir()
    python = tools / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for name in ("cut", "rm", "cmp", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    subprocess.run(["sh", tmp_path / "s"], env={"PATH": str(tools)}, check=True)
    assert (copy.exists(), changed.exists()) == (False, True)
    python.unlink()
    copy.write_bytes(b"b")
    subprocess.run(["sh", tmp_path / "s"], env={"PATH": str(tools)}, check=True)
    assert copy.exists()


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/a.jpg",
        "s3://bucket/a.jpg",
        "/shop/shard.tar#0001.jpg",
        "tar:///shop/shard.tar!a.jpg",
        "relative.jpg",
    ],
)
def test_only_files_of_this_machine_are_touched(tmp_path: Path, uri: str) -> None:
    local = tmp_path / "local.jpg"
    local.write_bytes(b"1")
    one, two = 32 * "1", 32 * "2"
    for each in (Removal(str(local), one, uri, two), Removal(uri, one, str(local), two)):
        commands = removal_script([[each]]).decode().rpartition("\n}\n")[2].splitlines()
        assert all(line.startswith("#") or not line for line in commands)
    assert local.exists()


@pytest.mark.parametrize("link", ["symbolic", "hard", "the same path"])
def test_one_file_under_two_names_is_left(tmp_path: Path, link: str) -> None:
    file, other = tmp_path / "file.png", tmp_path / "other.png"
    file.write_bytes(b"12")
    if link == "symbolic":
        other.symlink_to(file)
    elif link == "hard":
        other.hardlink_to(file)
    else:
        other = file
    for keeper, copy in ((file, other), (other, file)):
        script = removal_script([[removal(keeper, copy)]])
        assert b"\nremove_" not in script.replace(b"\nremove_same() {", b"").replace(
            b"\nremove_copy() {", b""
        )
        assert b"# left, it is the one to keep" in script


def test_a_link_made_since_is_left(tmp_path: Path) -> None:
    keeper, copy = tmp_path / "a", tmp_path / "b"
    keeper.write_bytes(b"12")
    copy.write_bytes(b"12")
    write_script(tmp_path / "s", [[removal(keeper, copy)]])
    keeper.unlink()
    keeper.symlink_to(copy)
    run(tmp_path / "s", tmp_path)
    assert copy.exists()


def test_a_name_cannot_end_a_comment(tmp_path: Path) -> None:
    copy = tmp_path / "x\ntouch pwned\n"
    script = removal_script([[Removal(path_to_uri(copy), 32 * "1", path_to_uri(copy), 32 * "1")]])
    (tmp_path / "s").write_bytes(script)
    run(tmp_path / "s", tmp_path)
    assert not (tmp_path / "pwned").exists()
