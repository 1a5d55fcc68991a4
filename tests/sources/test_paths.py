from __future__ import annotations

import os
from pathlib import Path

import pytest

from cbir.errors import ImageError
from cbir.sources import path_to_uri, uri_to_path
from cbir.sources.paths import printable, read_file


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (b"/photos/a.jpg", "/photos/a.jpg"),
        ("/photos/é.jpg".encode(), "/photos/é.jpg"),
        (b"/photos/two\nlines.jpg", "/photos/two\nlines.jpg"),
        (b"/photos/100%41.jpg", "/photos/100%41.jpg"),
        (b"/photos/\xe9.jpg", "file:///photos/%E9.jpg"),
        (b"/photos/\xe9 %41\n#?.jpg", "file:///photos/%E9%20%2541%0A%23%3F.jpg"),
    ],
)
def test_a_path_and_its_uri_lead_to_each_other(path: bytes, uri: str) -> None:
    assert path_to_uri(os.fsdecode(path)) == uri
    assert os.fsencode(uri_to_path(uri)) == path


def test_a_relative_path_has_an_absolute_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert path_to_uri("photos/../a.jpg") == "/a.jpg"


def test_a_link_keeps_its_own_uri(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to("elsewhere.jpg")
    assert path_to_uri(tmp_path / "link.jpg") == f"{tmp_path}/link.jpg"


def test_bytes_that_are_not_text_are_printed_as_escapes() -> None:
    assert printable(os.fsdecode(b"\xff\xe9\xc3\xa9.jpg")) == r"\xff\xe9é.jpg"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.jpg"
    os.mkfifo(fifo)
    with pytest.raises(ImageError, match=r"^not a regular file$"):
        read_file(str(fifo))


def test_a_file_larger_than_any_allowed_image_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBIR_MAX_PIXELS", "1000000")
    large = tmp_path / "large.tif"
    large.touch()
    os.truncate(large, 10_000_001)
    with pytest.raises(ImageError, match=r"10 MB, above the limit of 10 MB; CBIR_MAX_PIXELS"):
        read_file(str(large))


@pytest.mark.parametrize("reason", ["No such file or directory", "Is a directory"])
def test_what_the_system_refuses_is_said_in_its_words(tmp_path: Path, reason: str) -> None:
    path = tmp_path if reason == "Is a directory" else tmp_path / "none.jpg"
    with pytest.raises(ImageError, match=f"^cannot be read: {reason}$"):
        read_file(str(path))
