"""What is read ahead of the workers is bounded by its bytes, and all of it arrives."""

import time
from dataclasses import dataclass

import pytest

from cbir.errors import ImageError
from cbir.indexing.read_ahead import ReadAhead
from cbir.indexing.values import ImageTask
from cbir.sources import SourceImage
from cbir.sources.base import UNKNOWN
from cbir.sources.content import Content
from cbir.types import ImageVersion

SIZE = 1000
sent: list[str] = []


@dataclass(frozen=True)
class Remote(SourceImage):
    def fetch(self, previous: ImageVersion = UNKNOWN) -> Content:
        sent.append(self.uri)
        if self.name == "broken":
            raise ImageError("broken")
        return Content(self.name.encode() * SIZE, UNKNOWN)


def task(name: str, *, listed: bool) -> ImageTask:
    version = ImageVersion(SIZE if listed else None)
    return ImageTask(Remote(f"http://host/{name}", name, version=version))


def content(name: str) -> Content:
    return Content(name.encode() * SIZE, UNKNOWN)


def reads_so_far() -> int:
    """How many reads there have been, once there are no more."""
    count = -1
    while count != len(sent):
        count = len(sent)
        time.sleep(0.05)
    return count


@pytest.mark.parametrize("listed", [True, False], ids=["sizes listed", "sizes unknown"])
def test_no_more_is_read_ahead_than_there_is_room_for(listed: bool) -> None:
    sent.clear()
    ahead = ReadAhead(max_bytes=5 * SIZE, first_guess=SIZE)
    names = [*"abcdefghij", "broken", *"klmnopqrst"]
    reads = ahead.begin([task(name, listed=listed) for name in names])
    assert reads is not None
    assert 1 <= reads_so_far() <= 5
    for name, read in zip(names, reads, strict=True):
        if name == "broken":
            with pytest.raises(ImageError, match="broken"):
                read()
        else:
            assert read() == content(name)
    assert sorted(sent) == sorted(f"http://host/{name}" for name in names)
    again = ahead.begin([task(name, listed=listed) for name in "uvw"])
    assert again is not None
    assert reads_so_far() == len(names) + 3  # what was taken has made room again
    assert [read() for read in again] == [content(name) for name in "uvw"]
    ahead.close(interrupted=False)


def test_one_image_larger_than_the_room_is_read_alone() -> None:
    sent.clear()
    ahead = ReadAhead(max_bytes=SIZE // 2)
    reads = ahead.begin([task(name, listed=True) for name in "abc"])
    assert reads is not None
    assert reads_so_far() == 1
    assert [read() for read in reads] == [content(name) for name in "abc"]
    ahead.close(interrupted=False)


def test_local_files_are_not_read_ahead() -> None:
    ahead = ReadAhead()
    assert ahead.begin([ImageTask(SourceImage("/a.png", "a.png")), ImageTask(b"data")]) is None
    assert ahead.chunks == 0
    ahead.close(interrupted=False)
