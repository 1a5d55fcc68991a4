"""Files that change and keep their size and time are found by their content."""

import os
import shlex
from pathlib import Path

import pytest
from factories import encode, picture
from terminal import cbir

from cbir import Gallery, index_images, plan_images, resolve_spec, verify_gallery
from cbir.images.processes import Decoders
from cbir.sources import SourceImage
from cbir.sources.base import UNKNOWN
from cbir.sources.content import Content, NotModified
from cbir.types import ImageVersion


def replace_quietly(file: Path, data: bytes) -> None:
    """Change a file's content, not its size and time."""
    before = file.stat()
    old = file.read_bytes()
    assert data != old
    file.write_bytes(data.ljust(len(old), b"\0")[: max(len(old), len(data))])
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def photos(tmp_path: Path, gallery: Gallery) -> Path:
    """Six bitmaps of one size, in the gallery."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.bmp").write_bytes(encode(picture(seed=number), "BMP"))
    index_images(folder, gallery)
    return folder


def test_a_quiet_change_is_seen_when_contents_are_checked(photos: Path, gallery: Gallery) -> None:
    before = gallery.embedding(gallery.find(str(photos / "2.bmp")).id)
    replace_quietly(photos / "2.bmp", encode(picture(seed=50), "BMP"))
    assert index_images(photos, gallery).unchanged == 6
    assert verify_gallery(gallery).changed_files == ()
    assert verify_gallery(gallery, content=True).changed_files == (str(photos / "2.bmp"),)

    plan = plan_images(photos, gallery, check_content=True)
    assert (plan.update, plan.unchanged) == (("2.bmp",), 5)
    report = index_images(photos, gallery, check_content=True)
    assert (report.updated, report.unchanged, report.added) == (1, 5, 0)
    assert verify_gallery(gallery, content=True).changed_files == ()
    assert (gallery.embedding(gallery.find(str(photos / "2.bmp")).id) != before).any()


@pytest.mark.parametrize("prune", [False, True])
def test_files_that_swap_their_contents(photos: Path, gallery: Gallery, prune: bool) -> None:
    one, other = photos / "1.bmp", photos / "4.bmp"
    first, second = one.read_bytes(), other.read_bytes()
    replace_quietly(one, second)
    replace_quietly(other, first)
    index_images(photos, gallery, check_content=True, prune=prune)
    assert gallery.count() == 6
    assert verify_gallery(gallery, content=True).changed_files == ()


def test_a_failure_is_read_again(photos: Path, gallery: Gallery) -> None:
    bad, sound = photos / "bad.bmp", encode(picture(seed=9), "BMP")
    bad.write_bytes(b"no image".ljust(len(sound)))
    assert len(index_images(photos, gallery).failed) == 1
    replace_quietly(bad, sound)
    assert len(index_images(photos, gallery).failed) == 1
    report = index_images(photos, gallery, check_content=True)
    assert (report.added, report.failed) == (1, ())


def test_unchanged_images_are_not_decoded(
    photos: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Decoders, "decode", forbid)
    assert index_images(photos, gallery, check_content=True, decoders=1).unchanged == 6


def test_a_server_is_not_believed(gallery: Gallery) -> None:
    asked: list[ImageVersion] = []

    class Served(SourceImage):
        def fetch(self, previous: ImageVersion = UNKNOWN) -> Content | NotModified:
            asked.append(previous)
            data = encode(picture(seed=len(asked)))
            return Content(data, ImageVersion(len(data), 7))

    class Server:
        uri = root = "https://shop.example/"

        def count(self) -> int:
            return 1

        def __iter__(self):  # type: ignore[no-untyped-def]
            yield Served("https://shop.example/1.png", "1.png")

    index_images(Server(), gallery)
    index_images(Server(), gallery)
    assert asked[1].stamp == 7  # "send it only if it has changed"
    assert index_images(Server(), gallery, check_content=True).updated == 1
    assert asked[2] == ImageVersion()


def test_the_command_and_the_advice_of_verify(tmp_path: Path) -> None:
    photos, path = tmp_path / "my photos", tmp_path / "my gallery"
    photos.mkdir()
    (photos / "1.bmp").write_bytes(encode(picture(seed=1), "BMP"))
    with Gallery.create(path, resolve_spec("tiny_image")[0]) as gallery:
        index_images(photos, gallery)
    replace_quietly(photos / "1.bmp", encode(picture(seed=2), "BMP"))
    said = cbir("verify", "--content", "-g", path)
    assert said.code == 0
    assert "file has changed" in said.out
    (line,) = [line for line in said.out.splitlines() if "--check-content" in line]
    advice = line.partition(" embeds")[0].strip("`")
    words = [str(photos) if word == "SOURCE" else word for word in shlex.split(advice)[1:]]
    planned = cbir(*words, "--dry-run")
    assert "would update  1  1.bmp" in planned.out
    assert "updated 1" in cbir(*words).out
    assert "--check-content" not in cbir("verify", "-g", path).out
