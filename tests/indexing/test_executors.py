"""What embeds is exchangeable: chunks travel, and an executor may come from outside the package."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture

from cbir import Gallery, index_images, resolve_spec
from cbir.arrays import Vectors
from cbir.catalog.vectors import decode
from cbir.catalog.vectors import encode as encode_vectors
from cbir.config import MULTI_CROP
from cbir.embedding import load_embedder
from cbir.indexing import (
    EXECUTORS,
    EmbedderConfig,
    EmbedJob,
    LocalExecutor,
    embed_chunk,
    register_executor,
)
from cbir.indexing.process_chunk import ContentSet
from cbir.indexing.values import (
    ChunkResult,
    EmbeddedImage,
    ImageTask,
    MatchedImage,
    UnchangedImage,
    UnreadableImage,
)
from cbir.sources import SourceImage, open_source
from cbir.sources.reading import content_hash
from cbir.types import ImageVersion

ELSEWHERE = """
import pickle, sys
from cbir.indexing import embed_chunk

tasks, config = pickle.load(sys.stdin.buffer)
pickle.dump(embed_chunk(tasks, config), sys.stdout.buffer)
"""


def rows_of(gallery: Gallery) -> list[tuple[object, ...]]:
    """All but the versions of files, which are written anew between runs."""
    rows = list(gallery.catalog.scan())
    vectors = gallery.catalog.embeddings([record.id for record, _ in rows])
    return [(record, known.content_hash, vectors[record.id].tobytes()) for record, known in rows]


def in_another_process(tasks: Sequence[ImageTask], config: EmbedderConfig) -> list[ChunkResult]:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps((tasks, config)),
        capture_output=True,
        check=True,
    )
    results: list[ChunkResult] = pickle.loads(done.stdout)
    return results


class ToyExecutor:
    """Sends every chunk to a process of its own, which knows of nothing that has moved."""

    started = 0
    images = 0

    def start(self, job: EmbedJob) -> None:
        self._config = job.config
        ToyExecutor.started += 1

    def chunk_size(self) -> int:
        return 4

    def max_pending(self) -> int:
        return 1

    def submit(self, chunk: Sequence[ImageTask]) -> Future[Sequence[ChunkResult]]:
        ToyExecutor.images += len(chunk)
        future: Future[Sequence[ChunkResult]] = Future()
        future.set_result(in_another_process(chunk, self._config))
        return future

    def stop(self, *, interrupted: bool) -> None:
        pass


@pytest.fixture
def toy() -> ToyExecutor:
    ToyExecutor.started = ToyExecutor.images = 0
    return ToyExecutor()


@pytest.mark.parametrize("regions", [(), MULTI_CROP])
def test_a_chunk_that_travels_gives_the_rows_of_the_local_executor(
    folder: Path, tmp_path: Path, regions: tuple[tuple[float, float, float, float], ...]
) -> None:
    (folder / "odd" / "9.jpg").write_bytes(b"\xff\xd8\xff broken")
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "local", spec, regions=regions) as gallery:
        index_images(folder, gallery)
        images = [entry for entry in open_source(folder) if isinstance(entry, SourceImage)]
        tasks = [ImageTask(image) for image in images]
        results = in_another_process(tasks, EmbedderConfig(gallery.config))
        for image, result in zip(images, results, strict=True):
            if image.name == "odd/9.jpg":
                assert isinstance(result, UnreadableImage)
                assert result.reason == gallery.catalog.failures()[0].reason
                continue
            assert isinstance(result, EmbeddedImage)
            record = gallery.catalog.find(image.uri)
            assert record is not None
            stored = gallery.catalog.indexed_images([image.uri])[image.uri]
            assert (result.content_hash, result.version) == (stored.content_hash, stored.version)
            assert (result.width, result.height) == (record.width, record.height)
            (indexed,) = gallery.catalog.embeddings([record.id]).values()
            np.testing.assert_array_equal(_stored(result.embedding[None])[0], indexed)
            if regions:
                assert result.regions is not None
                indexed = gallery.catalog.region_embeddings(record.id)
                np.testing.assert_array_equal(_stored(result.regions), indexed)


def _stored(vectors: Vectors) -> Vectors:
    """Vectors as the catalogue gives them back."""
    return decode(encode_vectors(vectors), vectors.shape[1])


def test_an_executor_from_outside_indexes_a_folder(
    folder: Path, tmp_path: Path, toy: ToyExecutor
) -> None:
    spec, _ = resolve_spec("tiny_image")
    (folder / "odd" / "9.jpg").write_bytes(b"text")
    with (
        Gallery.create(tmp_path / "local", spec) as local,
        Gallery.create(tmp_path / "toy", spec) as other,
    ):
        for gallery, executor in ((local, "local"), (other, toy)):
            report = index_images(folder, gallery, executor=executor)
            assert (report.added, len(report.failed)) == (6, 1)
            picture(seed=70).save(folder / "even" / "0.png")
            assert index_images(folder, gallery, executor=executor).updated == 1
            picture(seed=0).save(folder / "even" / "0.png")
            assert index_images(folder, gallery, executor=executor).updated == 1
        assert rows_of(local) == rows_of(other)
    assert ToyExecutor.images == 9


def test_what_moves_keeps_its_id_with_an_executor_that_knows_of_no_moves(
    folder: Path, gallery: Gallery, toy: ToyExecutor
) -> None:
    index_images(folder, gallery, executor=toy)
    before = {record.name: record.id for record, _ in gallery.catalog.scan()}
    (folder / "even" / "0.png").rename(folder / "odd" / "0.png")
    copy = (folder / "even" / "2.png").read_bytes()
    (folder / "even" / "3.png").write_bytes(copy)
    toy.images = ToyExecutor.images = 0
    report = index_images(folder, gallery, executor=toy, prune=True)
    assert (report.moved, report.added, report.removed) == (1, 1, 0)
    after = {record.name: record.id for record, _ in gallery.catalog.scan()}
    assert after["odd/0.png"] == before["even/0.png"]
    assert ToyExecutor.images == 2  # the copy was not embedded twice
    vectors = gallery.catalog.embeddings([after["even/2.png"], after["even/3.png"]])
    one, other = vectors.values()
    np.testing.assert_array_equal(one, other)


def test_an_executor_is_registered_by_name(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, toy: ToyExecutor
) -> None:
    monkeypatch.setattr("cbir.indexing.executor.EXECUTORS", dict(EXECUTORS))
    register_executor("toy", f"{__name__}:ToyExecutor")
    assert index_images(folder, gallery, executor="toy").added == 6
    assert ToyExecutor.started == 1
    with pytest.raises(ValueError, match="no executor 'ray'; there are local, toy"):
        index_images(folder, gallery, executor="ray")


def test_a_local_executor_serves_one_run_after_another(folder: Path, gallery: Gallery) -> None:
    executor = LocalExecutor(chunk=2, decoders=1)
    assert index_images(folder, gallery, executor=executor).added == 6
    picture(seed=70).save(folder / "even" / "0.png")
    assert index_images(folder, gallery, executor=executor).updated == 1


def test_options_of_the_local_executor_are_not_lost_on_another(
    folder: Path, gallery: Gallery, toy: ToyExecutor
) -> None:
    with pytest.raises(ValueError, match="options of the local executor"):
        index_images(folder, gallery, executor=toy, decoders=2)
    with pytest.raises(ValueError, match="options of the local executor"):
        index_images(folder, gallery, executor=toy, embedder=load_embedder(gallery.spec))


def test_bytes_are_embedded_like_places(folder: Path, gallery: Gallery) -> None:
    data = encode(picture(seed=3))
    (folder / "new.png").write_bytes(data)
    place = SourceImage(str(folder / "new.png"), "new.png")
    by_place, by_bytes = embed_chunk(
        [ImageTask(place), ImageTask(data)], EmbedderConfig(gallery.config)
    )
    assert isinstance(by_place, EmbeddedImage)
    assert isinstance(by_bytes, EmbeddedImage)
    assert by_place.content_hash == by_bytes.content_hash == content_hash(data)
    np.testing.assert_array_equal(by_place.embedding, by_bytes.embedding)
    assert by_bytes.version == ImageVersion(len(data))


def test_what_is_known_is_not_embedded(gallery: Gallery) -> None:
    data, other = encode(picture(seed=1)), encode(picture(seed=2))
    contents = ContentSet(np.sort(np.array([content_hash(other)], "S16")))
    tasks = [
        ImageTask(data, content_hash=content_hash(data)),
        ImageTask(other, match=True),
        ImageTask(other),
        ImageTask(b"text"),
    ]
    same, match, embedded, unreadable = embed_chunk(
        tasks, EmbedderConfig(gallery.config), pickle.loads(pickle.dumps(contents))
    )
    assert same == UnchangedImage(ImageVersion(len(data)))
    assert match == MatchedImage(content_hash(other), ImageVersion(len(other)))
    assert isinstance(embedded, EmbeddedImage)
    assert isinstance(unreadable, UnreadableImage)
    assert unreadable.reason.startswith("not an image in a known format")
