from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from factories import encode, folder_for_everyone, plain, unprivileged

from cbir.errors import ImageError, SourceError
from cbir.sources import FileSource, FolderSource, ManifestSource, SourceImage, open_source
from cbir.types import FailedImage, ImageVersion

PNG = encode(plain("red", 2, 2))


def put(folder: Path, *names: str, data: bytes = PNG) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(source: FolderSource | FileSource) -> list[str]:
    """The names of a source's images, which all have to be fine."""
    found = list(source)
    assert source.count() == len(found)
    assert all(isinstance(image, SourceImage) for image in found), found
    return [image.name for image in found if isinstance(image, SourceImage)]


def failures(source: FolderSource) -> list[tuple[str, str]]:
    found = list(source)
    assert source.count() == len(found)
    return [(f.uri, f.reason) for f in found if isinstance(f, FailedImage)]


def test_images_are_found_in_a_fixed_order_at_every_depth(tmp_path: Path) -> None:
    put(tmp_path, "z.png", "b/2.png", "a/x/1.png", "a/3.png", "B.png", "a.png")
    assert names(FolderSource(tmp_path)) == [
        "B.png", "a.png", "z.png", "a/3.png", "a/x/1.png", "b/2.png",
    ]  # fmt: skip


def test_an_image_knows_where_it_is_and_what_it_holds(tmp_path: Path) -> None:
    put(tmp_path, "a/red.png")
    source = FolderSource(tmp_path)
    (image,) = source
    assert isinstance(image, SourceImage)
    status = (tmp_path / "a/red.png").stat()
    assert image == SourceImage(
        f"{tmp_path}/a/red.png", "a/red.png", {}, ImageVersion(status.st_size, status.st_mtime_ns)
    )
    assert image.read() == PNG
    assert source.uri == source.root == str(tmp_path)


@pytest.mark.parametrize("name", ["A.JPG", "a.jpeg", "a.Tiff", "a.png", "a.webp", "a.gif", "a.bmp"])
def test_a_file_with_an_images_suffix_is_an_image_whatever_it_holds(
    tmp_path: Path, name: str
) -> None:
    put(tmp_path, name, data=b"only text")
    assert names(FolderSource(tmp_path)) == [name]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_file_with_an_images_signature_is_an_image_whatever_its_name(
    tmp_path: Path, format: str
) -> None:
    put(tmp_path, "no-suffix", "wrong.txt", data=encode(plain("red"), format))
    assert names(FolderSource(tmp_path)) == ["no-suffix", "wrong.txt"]


def test_other_files_are_left_out_without_a_word(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt", "BMW.txt", "empty", data=b"")
    put(tmp_path, "BMW", data=b"BMW, Mini and Rolls-Royce")
    put(tmp_path, ".hidden.png", ".git/object.png", "._a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        assert names(FolderSource(tmp_path)) == []


def test_an_empty_folder_has_no_images(tmp_path: Path) -> None:
    assert names(FolderSource(tmp_path)) == []


def test_galleries_inside_a_folder_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "gallery/thumbnails/a.png", "gallery/catalog.sqlite")
    assert names(FolderSource(tmp_path)) == ["a.png"]
    with pytest.raises(SourceError, match="is a gallery, not a folder of images"):
        list(FolderSource(tmp_path / "gallery"))


@pytest.mark.parametrize("name", ["two\nlines.png", "é ü.png", " .png", "100%.png", "a\\b.png"])
def test_odd_names_are_kept(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    (image,) = FolderSource(tmp_path)
    assert isinstance(image, SourceImage)
    assert (image.name, image.uri) == (name, f"{tmp_path}/{name}")
    assert image.read() == PNG


def test_a_name_that_is_not_text_can_be_stored_and_read(tmp_path: Path) -> None:
    put(tmp_path, os.fsdecode(b"caf\xe9/\xff.png"))
    (image,) = FolderSource(tmp_path)
    assert isinstance(image, SourceImage)
    assert image.name == r"caf\xe9/\xff.png"
    assert image.uri == f"{tmp_path.as_uri()}/caf%E9/%FF.png"
    assert image.read() == PNG
    assert names(FolderSource(tmp_path / os.fsdecode(b"caf\xe9"))) == [r"\xff.png"]


# Links


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "outside/1.png", "outside/2.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file.png").symlink_to("../outside/1.png")
    (root / "folder").symlink_to("../outside")
    assert names(FolderSource(root)) == ["file.png", "folder/1.png", "folder/2.png"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b").symlink_to("../b")
    (tmp_path / "self").symlink_to("self")
    assert names(FolderSource(tmp_path)) == ["a/1.png", "b/2.png"]


def test_a_folder_goes_by_its_own_name_before_a_links(tmp_path: Path) -> None:
    put(tmp_path, "z/deep/1.png")
    (tmp_path / "alias").symlink_to("z/deep")
    assert names(FolderSource(tmp_path)) == ["z/deep/1.png"]


def test_a_broken_link_to_an_image_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("gone.png")
    (tmp_path / "notes").symlink_to("gone.txt")
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert failures(FolderSource(tmp_path)) == [
        (f"{tmp_path}/a.png", "broken symbolic link to gone.png"),
        (f"{tmp_path}/loop.png", "cannot be read: Too many levels of symbolic links"),
    ]


# Permissions


def test_what_may_not_be_read_is_reported_and_the_rest_goes_on() -> None:
    with folder_for_everyone() as folder:
        put(folder, "closed/1.png", "listed/2.png", "open/3.png", "secret.png", "secret")
        (folder / "closed").chmod(0o000)
        (folder / "listed").chmod(0o744)
        (folder / "secret.png").chmod(0o000)
        (folder / "secret").chmod(0o000)
        with unprivileged():
            assert failures(FolderSource(folder)) == [
                (f"{folder}/closed", "cannot list folder: Permission denied"),
                (f"{folder}/listed/2.png", "cannot be read: Permission denied"),
            ]
            images = [image for image in FolderSource(folder) if isinstance(image, SourceImage)]
            assert [image.name for image in images] == ["secret.png", "open/3.png"]
            with pytest.raises(ImageError, match=r"^cannot be read: Permission denied$"):
                images[0].read()


def test_a_source_that_may_not_be_listed_is_an_error_of_the_source() -> None:
    with folder_for_everyone() as folder:
        (folder / "closed").mkdir(mode=0o000)
        with unprivileged():
            source = open_source(folder / "closed")
            with pytest.raises(SourceError, match="cannot list folder: Permission denied"):
                list(source)


def test_an_image_that_vanished_is_an_image_error(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (image,) = FolderSource(tmp_path)
    assert isinstance(image, SourceImage)
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"^cannot be read: No such file or directory$"):
        image.read()


# open_source


def test_a_location_says_what_kind_of_source_it_is(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.CSV", "c.tsv", "image-without-suffix")
    assert isinstance(open_source(tmp_path), FolderSource)
    assert isinstance(open_source(str(tmp_path / "b.CSV")), ManifestSource)
    assert isinstance(open_source(tmp_path / "c.tsv"), ManifestSource)
    for name in ("a.png", "image-without-suffix"):
        source = open_source(tmp_path / name)
        assert isinstance(source, FileSource)
        assert names(source) == [name]
        assert (source.uri, source.root) == (f"{tmp_path}/{name}", str(tmp_path))


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("gone", "no such file or folder: {folder}/gone"),
        ("gone\udcff", r"no such file or folder: {folder}/gone\xff"),
        (
            "notes.txt",
            "{folder}/notes.txt is neither a folder nor an image; "
            "a list of images ends in .csv, .tsv, .json, .jsonl or .parquet, shards end in .tar",
        ),
    ],
)
def test_a_location_that_is_no_source_is_named(tmp_path: Path, location: str, message: str) -> None:
    put(tmp_path, "notes.txt", data=b"text")
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / location)
    assert str(caught.value) == message.format(folder=tmp_path)


def test_an_empty_location_is_not_the_working_directory() -> None:
    with pytest.raises(SourceError, match="no such file or folder: ''"):
        open_source("")
