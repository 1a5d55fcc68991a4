import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture

from cbir import Gallery, IndexReport, index_images
from cbir.embedding import Embedder, load_embedder, resolve_spec
from cbir.errors import SourceError, SpecMismatchError
from cbir.indexing import Limits, LocalExecutor
from cbir.types import FailedImage


def counts(report: IndexReport) -> tuple[int, int, int, int]:
    """Added, updated, unchanged, failed."""
    return report.added, report.updated, report.unchanged, len(report.failed)


def names(gallery: Gallery) -> list[str]:
    return [record.name for record, _ in gallery.catalog.scan()]


class CountingEmbedder:
    """Counts the images that reach the network of another embedder."""

    def __init__(self, inner: Embedder) -> None:
        self.spec = inner.spec
        self.device = "cpu"
        self.parallelism = 2
        self.images = 0
        self._inner = inner

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.images += len(images)
        return self._inner.embed(images)

    def describe(self) -> str:
        return "counting"


@pytest.fixture
def embedder(gallery: Gallery) -> CountingEmbedder:
    return CountingEmbedder(load_embedder(gallery.spec))


def test_a_folder_is_indexed_in_its_order(folder: Path, gallery: Gallery) -> None:
    report = index_images(folder, gallery)
    assert counts(report) == (6, 0, 0, 0)
    assert names(gallery) == [
        "even/0.png",
        "even/2.png",
        "even/4.png",
        "odd/1.png",
        "odd/3.png",
        "odd/5.png",
    ]
    first = gallery.image(1)
    assert first.uri == str(folder / "even" / "0.png")
    assert (first.width, first.height) == (64, 48)
    assert first.size == (folder / "even" / "0.png").stat().st_size


def test_a_second_run_embeds_nothing(
    folder: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    index_images(folder, gallery, embedder=embedder)
    assert embedder.images == 6
    generation = gallery.catalog.generation()
    assert counts(index_images(folder, gallery, embedder=embedder)) == (0, 0, 6, 0)
    assert embedder.images == 6
    assert gallery.catalog.generation() == generation


def test_new_and_changed_images_alone_are_embedded(
    folder: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    index_images(folder, gallery, embedder=embedder)
    before = gallery.embedding(1)
    (folder / "even" / "0.png").write_bytes(encode(picture(seed=50)))
    (folder / "new.jpeg").write_bytes(encode(picture(seed=51), "JPEG"))
    assert counts(index_images(folder, gallery, embedder=embedder)) == (1, 1, 5, 0)
    assert embedder.images == 8
    assert float(before @ gallery.embedding(1)) < 0.9


def test_a_touched_file_is_told_by_its_content(
    folder: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    index_images(folder, gallery, embedder=embedder)
    os.utime(folder / "even" / "0.png", ns=(1, 1))
    assert counts(index_images(folder, gallery, embedder=embedder)) == (0, 0, 6, 0)
    assert embedder.images == 6
    # The new time stamp is remembered: the file is not read a third time.
    known = gallery.catalog.indexed_images([str(folder / "even" / "0.png")])
    assert next(iter(known.values())).version.stamp == 1


def test_a_manifest_brings_metadata(folder: Path, gallery: Gallery) -> None:
    manifest = folder / "feed.csv"
    manifest.write_text("path,label,price\neven/0.png,mug,3\nodd/1.png,cup,4\n")
    assert counts(index_images(manifest, gallery)) == (2, 0, 0, 0)
    assert gallery.image(2).metadata == {"label": "cup", "price": 4}


def test_changed_metadata_is_taken_over_without_embedding(
    folder: Path, gallery: Gallery, embedder: CountingEmbedder
) -> None:
    manifest = folder / "feed.csv"
    manifest.write_text("path,label\neven/0.png,mug\nodd/1.png,cup\n")
    index_images(manifest, gallery, embedder=embedder)
    manifest.write_text("path,label\neven/0.png,mug\nodd/1.png,vase\n")
    assert counts(index_images(manifest, gallery, embedder=embedder)) == (0, 1, 1, 0)
    assert gallery.image(2).metadata == {"label": "vase"}
    assert embedder.images == 2


def test_an_unreadable_image_is_a_failure_with_a_reason(folder: Path, gallery: Gallery) -> None:
    (folder / "bad.jpg").write_text("this is text")
    report = index_images(folder, gallery)
    assert counts(report) == (6, 0, 0, 1)
    assert report.failed[0].uri == str(folder / "bad.jpg")
    assert "not an image" in report.failed[0].reason
    assert gallery.catalog.failures() == list(report.failed)


def test_a_failure_is_tried_again_when_the_file_changes(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = folder / "bad.jpg"
    bad.write_text("this is text")
    index_images(folder, gallery)
    reads: list[str] = []

    def read_nothing(path: str) -> bytes:
        reads.append(path)
        return b""

    monkeypatch.setattr("cbir.sources.reading.read_file", read_nothing)
    assert counts(index_images(folder, gallery)) == (0, 0, 6, 1)
    assert reads == []
    assert counts(index_images(folder, gallery, retry_failed=True)) == (0, 0, 6, 1)
    assert reads == [str(bad)]
    monkeypatch.undo()
    bad.write_bytes(encode(picture(seed=9), "JPEG"))
    assert counts(index_images(folder, gallery)) == (1, 0, 6, 0)
    assert gallery.catalog.failures() == []


def test_a_failure_whose_file_is_gone_is_forgotten(folder: Path, gallery: Gallery) -> None:
    (folder / "bad.jpg").write_text("this is text")
    index_images(folder, gallery)
    (folder / "bad.jpg").unlink()
    assert counts(index_images(folder, gallery)) == (0, 0, 6, 0)
    assert gallery.catalog.failures() == []


def test_an_image_that_breaks_stays_searchable_and_is_reported(
    folder: Path, gallery: Gallery
) -> None:
    index_images(folder, gallery)
    (folder / "even" / "0.png").write_bytes(b"half written")
    assert counts(index_images(folder, gallery)) == (0, 0, 5, 1)
    assert gallery.count() == 6


def test_failures_of_another_source_stay(folder: Path, gallery: Gallery) -> None:
    (folder / "odd" / "bad.jpg").write_text("text")
    index_images(folder / "odd", gallery)
    index_images(folder / "even", gallery)
    assert len(gallery.catalog.failures()) == 1


def test_an_embedder_of_another_space_is_refused(folder: Path, gallery: Gallery) -> None:
    spec, _ = resolve_spec("tiny_image")
    object.__setattr__(spec, "dim", 7)
    other = CountingEmbedder(load_embedder(gallery.spec))
    other.spec = spec
    with pytest.raises(SpecMismatchError, match="dim: 3072 against 7"):
        index_images(folder, gallery, embedder=other)


def test_a_source_that_is_not_there_is_an_error(gallery: Gallery) -> None:
    with pytest.raises(SourceError, match="no such file or folder: /nowhere"):
        index_images("/nowhere", gallery)


def test_progress_counts_every_image(folder: Path, gallery: Gallery) -> None:
    (folder / "bad.jpg").write_text("text")
    seen: list[int] = []
    index_images(folder, gallery, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 7


def test_an_error_in_a_worker_ends_the_run_and_keeps_what_was_committed(
    folder: Path, gallery: Gallery
) -> None:
    class Failing(CountingEmbedder):
        def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
            if self.images == 3:
                raise MemoryError
            return super().embed(images)

    failing = Failing(load_embedder(gallery.spec))
    failing.parallelism = 1
    executor = LocalExecutor(embedder=failing, chunk=1)
    with pytest.raises(MemoryError):
        index_images(folder, gallery, executor=executor, limits=Limits(commit_rows=1))
    assert 0 < gallery.count() <= 3
    done = gallery.count()
    assert counts(index_images(folder, gallery)) == (6 - done, 0, done, 0)


class ManySource:
    """A source that only lists: one entry is good, a thousand are not."""

    uri = root = "/many"

    def __init__(self, count: int) -> None:
        self._count = count

    def count(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[FailedImage]:
        return (FailedImage(f"/many/{i}", "gone") for i in range(self._count))


def test_a_thousand_failures_do_not_stop_a_run(gallery: Gallery) -> None:
    assert len(index_images(ManySource(1001), gallery).failed) == 1001
    assert len(gallery.catalog.failures()) == 1001


def test_statements_grow_by_page_not_by_image(
    tmp_path: Path, gallery: Gallery, statements: list[str]
) -> None:
    for number in range(300):
        (tmp_path / "many").mkdir(exist_ok=True)
        picture(8, 8, seed=number).save(tmp_path / "many" / f"{number}.png")
    statements.clear()
    index_images(tmp_path / "many", gallery)
    assert len(statements) <= 60
    statements.clear()
    index_images(tmp_path / "many", gallery)
    assert len(statements) <= 20
