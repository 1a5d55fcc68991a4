"""A source from outside: one file and one call, by suffix or by scheme."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories import encode, picture
from terminal import cbir

from cbir import Gallery, index_images
from cbir.errors import SourceError
from cbir.sources import SOURCES, Source, SourceImage, SourceOptions, open_source, register_source
from cbir.sources.bucket import BucketSource
from cbir.sources.manifest import ManifestSource
from cbir.sources.tar import TarSource


@dataclass(frozen=True)
class DrawnImage(SourceImage):
    """An image that is drawn when it is read."""

    def read(self) -> bytes:
        return encode(picture(seed=int(self.name)))


class DrawnImages:
    """As many images as the location says: `drawn://5`, or a file that holds the number."""

    def __init__(self, location: str, options: SourceOptions) -> None:
        self.uri = self.root = location
        _, scheme, number = location.rpartition("://")
        self._count = int(number if scheme else Path(location).read_text())

    def count(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[SourceImage]:
        for number in range(self._count):
            yield DrawnImage(f"drawn://{number}", str(number))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.sources.opening.SOURCES", dict(SOURCES))
    register_source("drawn://", DrawnImages)
    register_source(".drawn", f"{__name__}:DrawnImages")


def test_a_scheme_is_indexed_and_pruned(gallery: Gallery) -> None:
    assert index_images("drawn://3", gallery).added == 3
    assert index_images("drawn://3", gallery).unchanged == 3
    assert index_images(open_source("drawn://5"), gallery, prune=True).added == 2


def test_a_suffix_is_indexed_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.drawn").write_text("2")
    run = cbir("index", tmp_path / "a.drawn", "-g", tmp_path / "g", "--backbone", "tiny_image")
    assert run.code == 0
    assert "added 2" in run.out


def test_a_missing_file_and_a_key_are_refused_as_of_any_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(tmp_path / "none.drawn")
    with pytest.raises(SourceError, match="--key names a column of a manifest"):
        open_source("drawn://3", key="sku")


@pytest.mark.parametrize("pattern", ["drawn", "", "://x"])
def test_what_is_neither_suffix_nor_scheme_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="neither a suffix"):
        register_source(pattern, DrawnImages)


def test_the_package_s_own_are_found_by_the_same_registry(tmp_path: Path) -> None:
    opened: list[Source] = [
        open_source("https://host/feed.csv"),
        open_source("s3://bucket/feed.PARQUET"),
        open_source("s3://bucket/photos"),
    ]
    (tmp_path / "a.tar").write_bytes(b"")
    opened.append(open_source(tmp_path / "a.tar"))
    kinds = [ManifestSource, ManifestSource, BucketSource, TarSource]
    assert [type(source) for source in opened] == kinds
