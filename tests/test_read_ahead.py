"""What is read ahead of the workers is bounded by its bytes, and all of it arrives."""

import time
from dataclasses import dataclass

import pytest

from cbir.errors import ImageError
from cbir.indexing import read_ahead
from cbir.indexing.read_ahead import ReadAhead
from cbir.indexing.settle import Pending
from cbir.sources import SourceImage
from cbir.sources.base import UNKNOWN
from cbir.sources.content import Content
from cbir.types import ImageVersion

SIZE = 1000
sent: list[str] = []


@dataclass(frozen=True)
class Remote(SourceImage):
    def fetch(self, known: ImageVersion = UNKNOWN) -> Content:
        sent.append(self.uri)
        if self.name == "broken":
            raise ImageError("broken")
        return Content(self.name.encode() * SIZE, UNKNOWN)


def pending(name: str, *, told: bool) -> Pending:
    return Pending(
        Remote(f"http://host/{name}", name, version=ImageVersion(SIZE if told else None)), None
    )


def settled() -> int:
    """How many reads there have been, once there are no more."""
    count = -1
    while count != len(sent):
        count = len(sent)
        time.sleep(0.05)
    return count


@pytest.mark.parametrize("told", [True, False], ids=["sizes listed", "sizes unknown"])
def test_no_more_is_read_ahead_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    monkeypatch.setattr(read_ahead, "AHEAD_BYTES", 5 * SIZE)
    monkeypatch.setattr(read_ahead, "FIRST_GUESS", SIZE)
    sent.clear()
    ahead = ReadAhead()
    names = [*"abcdefghij", "broken", *"klmnopqrst"]
    chunk = ahead.begin([pending(name, told=told) for name in names])
    assert 1 <= settled() <= 5
    for name, item in zip(names, chunk, strict=True):
        if name == "broken":
            with pytest.raises(ImageError, match="broken"):
                item.content()
        else:
            assert item.content() == Content(name.encode() * SIZE, UNKNOWN)
    assert sorted(sent) == sorted(f"http://host/{name}" for name in names)
    again = ahead.begin([pending(name, told=told) for name in "uvw"])
    assert settled() == len(names) + 3  # what was taken has made room again
    assert [item.content() for item in again] == [
        Content(n.encode() * SIZE, UNKNOWN) for n in "uvw"
    ]
    ahead.close(interrupted=False)


def test_one_image_larger_than_the_room_is_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "AHEAD_BYTES", SIZE // 2)
    sent.clear()
    ahead = ReadAhead()
    chunk = ahead.begin([pending(name, told=True) for name in "abc"])
    assert settled() == 1
    assert [item.content() for item in chunk] == [
        Content(n.encode() * SIZE, UNKNOWN) for n in "abc"
    ]
    ahead.close(interrupted=False)
