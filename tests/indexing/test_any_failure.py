"""Whatever one image does, it fails alone: the run goes on and says so."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import encode, picture

from cbir import Gallery, index_images, load_embedder, plan_images, verify_gallery
from cbir.arrays import Pixels, Vectors
from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch
from cbir.embedding.wrappers import EmbedderWrapper
from cbir.errors import ImageError, NotFoundError, OptionError, SourceError
from cbir.indexing import EmbedJob, Limits, LocalExecutor
from cbir.indexing.values import ChunkResult, ImageTask
from cbir.sources import SourceImage
from cbir.types import FailedImage, ImageVersion

BEFORE, AFTER = 3, 3
"""Number of good images before and after the odd one."""


class LibraryError(Exception):
    """An exception of a library that cannot be copied by `type(error)(*error.args)`."""

    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"code {code} at {where}")


EXCEPTIONS = [
    ZeroDivisionError("division by zero"),
    RecursionError("too deep"),
    MemoryError(),
    KeyError("tag"),
    OverflowError("int too large"),
    AssertionError(),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range"),
    OSError(5, "Input/output error"),
    LibraryError(7, where="marker"),
    NotFoundError("another error of cbir"),
]


@dataclass(frozen=True, slots=True)
class OddImage(SourceImage):
    """An image whose bytes are given, or that raises when it is read."""

    data: bytes = b""
    error: Exception | None = None

    def read(self) -> bytes:
        if self.error is not None:
            raise self.error
        return self.data


@dataclass
class Images:
    """A source of good images around odd entries."""

    odd: Sequence[SourceImage | FailedImage]
    uri: str = "/images"
    root: str = "/images"
    ends: Exception | None = field(default=None)

    def count(self) -> int:
        return BEFORE + len(self.odd) + AFTER

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        good = [_image(f"{i}.png", seed=i) for i in range(BEFORE + AFTER)]
        yield from good[:BEFORE]
        yield from self.odd
        if self.ends is not None:
            raise self.ends
        yield from good[BEFORE:]


def _image(name: str, *, seed: int, **options: Any) -> OddImage:
    data = encode(picture(seed=seed))
    version = options.pop("version", ImageVersion(len(data), 1))
    return OddImage(f"/images/{name}", name, version=version, data=data, **options)


def _odd(*, raising: bool) -> list[OddImage]:
    """An image for each exception, which may be raised when it is read."""
    return [
        _image(f"{type(error).__name__}.png", seed=50 + i, error=error if raising else None)
        for i, error in enumerate(EXCEPTIONS)
    ]


def test_reading_raises(gallery: Gallery, caplog: pytest.LogCaptureFixture) -> None:
    source = Images(_odd(raising=True))
    report = index_images(source, gallery)
    assert (report.added, gallery.count()) == (6, 6)
    assert [f.uri for f in report.failed] == [image.uri for image in source.odd]
    for error, failure in zip(EXCEPTIONS, report.failed, strict=True):
        if not isinstance(error, NotFoundError):
            assert type(error).__name__ in failure.reason
            assert f"{failure.uri} failed with {type(error).__name__}" in caplog.text
    assert len(plan_images(source, gallery).fail) == len(EXCEPTIONS)
    # What failed for an unknown reason is tried again by itself.
    healed = index_images(Images(_odd(raising=False)), gallery)
    assert (healed.added, healed.unchanged, healed.failed) == (len(EXCEPTIONS), 6, ())


@pytest.mark.parametrize("chunk", [1, 16])
def test_decoding_raises(gallery: Gallery, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from cbir.embedding import encoded
    from cbir.images import decode_image

    odd = _odd(raising=False)
    errors = dict(zip([image.data for image in odd], EXCEPTIONS, strict=True))

    def failing(data: bytes, options: Any) -> Any:
        if data in errors:
            raise errors[data]
        return decode_image(data, options)

    monkeypatch.setattr(encoded, "decode_image", failing)
    report = index_images(Images(odd), gallery, executor=LocalExecutor(chunk=chunk))
    assert (report.added, [f.uri for f in report.failed]) == (6, [image.uri for image in odd])


class Failing(EmbedderWrapper):
    """An embedder that raises for batches with an image of this mean brightness."""

    def __init__(self, embedder: Any, error: Exception, bad: Pixels | None) -> None:
        super().__init__(embedder)
        self._error = error
        self._bad = bad

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        if self._bad is None or any(np.array_equal(image, self._bad) for image in images):
            raise self._error
        return self._inner.embed(images)


@pytest.mark.parametrize("chunk", [1, 2, 16])
@pytest.mark.parametrize("count", [1, 2])
def test_embedding_raises_for_one_image(gallery: Gallery, chunk: int, count: int) -> None:
    from cbir.images import decode

    odd = [_image(f"odd{i}.png", seed=50) for i in range(count)]
    bad = decode(odd[0].data, gallery.spec.preprocessing).pixels
    failing = Failing(load_embedder(gallery.spec), RuntimeError("primitive failed"), bad)
    executor = LocalExecutor(embedder=failing, chunk=chunk)
    report = index_images(Images(odd), gallery, executor=executor)
    assert report.added == 6
    assert [f.reason for f in report.failed] == ["RuntimeError: primitive failed"] * count


@pytest.mark.parametrize("chunk", [1, 16])
def test_a_network_that_never_works_ends_the_run(gallery: Gallery, chunk: int) -> None:
    failing = Failing(load_embedder(gallery.spec), RuntimeError("no device"), None)
    with pytest.raises(RuntimeError, match="no device"):
        index_images(Images([]), gallery, executor=LocalExecutor(embedder=failing, chunk=chunk))
    assert gallery.catalog.failures() == []


class Refusing:
    """An executor that refuses chunks with an odd image, when it is given them or later."""

    def __init__(self, inner: LocalExecutor, *, at_once: bool) -> None:
        self._inner = inner
        self._at_once = at_once
        self.stop, self.chunk_size, self.max_pending = (
            inner.stop,
            inner.chunk_size,
            inner.max_pending,
        )

    def start(self, job: EmbedJob) -> None:
        self._inner.start(job)

    def submit(self, chunk: Sequence[ImageTask]) -> Future[Sequence[ChunkResult]]:
        if any("odd" in task.uri for task in chunk):
            if self._at_once:
                raise TypeError("cannot pickle 'odd' object")
            future: Future[Sequence[ChunkResult]] = Future()
            future.set_exception(TypeError("cannot pickle 'odd' object"))
            return future
        return self._inner.submit(chunk)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_an_executor_refuses_one_image(gallery: Gallery, at_once: bool, chunk: int) -> None:
    executor = Refusing(LocalExecutor(chunk=chunk), at_once=at_once)
    report = index_images(Images([_image("odd.png", seed=50)]), gallery, executor=executor)
    assert (report.added, len(report.failed)) == (6, 1)
    assert "cannot pickle" in report.failed[0].reason


class Unprintable:
    def __str__(self) -> str:
        raise LookupError("no text")


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "metadata",
    [{"a": ENDLESS}, {"a": 10**5000}, {"a": Unprintable()}, {("a", "b"): 1}],
    ids=["endless", "long number", "unprintable", "no name"],
)
def test_metadata_that_nothing_stores(gallery: Gallery, metadata: dict[Any, Any]) -> None:
    source = Images([_image("odd.png", seed=50, metadata=metadata)])
    report = index_images(source, gallery)
    assert (report.added, [f.uri for f in report.failed]) == (6, ["/images/odd.png"])
    again = index_images(source, gallery, prune=True)
    assert (again.unchanged, len(again.failed)) == (6, 1)


LONE = "cut \ud83d off"


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({"name": LONE}, 7),
        ({"key": LONE}, 7),
        ({"metadata": {LONE: LONE, "list": [LONE]}}, 7),
        ({"uri": f"/images/{LONE}"}, 6),
        ({"name": "nul \0"}, 7),
        ({"version": ImageVersion(2**80, 2**80)}, 7),
        ({"version": ImageVersion(-5, -(2**80))}, 7),
        ({"version": ImageVersion("big", float("nan"))}, 7),  # type: ignore[arg-type]
    ],
)
def test_text_and_numbers_that_sql_does_not_take(
    gallery: Gallery, changes: dict[str, Any], added: int
) -> None:
    source = Images([replace(_image("odd.png", seed=50), **changes)])
    assert plan_images(source, gallery).unchanged == 0
    report = index_images(source, gallery)
    assert (report.added, len(report.failed)) == (added, 7 - added)
    for prune in (False, True):
        again = index_images(source, gallery, prune=prune)
        assert (again.unchanged, again.added, len(again.failed)) == (added, 0, 7 - added)
    assert verify_gallery(gallery).ok


def test_a_failure_that_sql_does_not_take(gallery: Gallery) -> None:
    report = index_images(Images([FailedImage(LONE, LONE, LONE)]), gallery)
    assert (report.added, len(report.failed)) == (6, 1)
    assert [f.reason for f in gallery.catalog.failures()] == [r"cut \ud83d off"]


@pytest.mark.parametrize("rows", [1, 4, 256])
def test_a_row_that_the_database_refuses(
    gallery: Gallery, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Catalog.write

    def refusing(catalog: Catalog, source: str, batch: Batch) -> None:
        if any("odd" in row.key for row in batch.images):
            raise OverflowError("too large to convert")
        write(catalog, source, batch)

    monkeypatch.setattr(Catalog, "write", refusing)
    source = Images([_image("odd.png", seed=50)])
    report = index_images(source, gallery, limits=Limits(commit_rows=rows))
    assert (report.added, [f.uri for f in report.failed]) == (6, ["/images/odd.png"])
    assert gallery.count() == 6
    assert [f.reason for f in gallery.catalog.failures()] == ["OverflowError: too large to convert"]


def test_a_source_that_breaks_off_keeps_what_it_listed(gallery: Gallery) -> None:
    with pytest.raises(SourceError, match=r"/images: cannot be listed further: KeyError: 'page'"):
        index_images(Images([], ends=KeyError("page")), gallery, limits=Limits(page=1))
    assert gallery.count() == BEFORE
    assert index_images(Images([]), gallery).added == AFTER


def test_a_wrong_setting_is_no_failure_of_every_image(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBIR_MAX_PIXELS", "many")
    with pytest.raises(OptionError, match="CBIR_MAX_PIXELS"):
        index_images(folder, gallery)


FAR = [2**62, 13_569_465_600 * 10**9, 2**63, 2**63 + 10**9, 10**30, -(2**63) - 1, -(10**30)]


@pytest.mark.parametrize("stamp", FAR)
def test_times_fit_the_database_and_still_differ(stamp: int) -> None:
    version = ImageVersion(1, stamp)
    assert version.stamp is not None
    assert -(2**63) <= version.stamp < 2**63
    assert version != ImageVersion(1, stamp + 1)
    assert version == ImageVersion(1, stamp)


@pytest.mark.parametrize("year", [1900, 1969, 2262, 2263, 2400, 2446])
def test_a_file_from_any_year(folder: Path, gallery: Gallery, year: int) -> None:
    file, other = folder / "even" / "2.png", (year - 1970) * 31_556_952
    os.utime(file, (other, other))
    assert index_images(folder, gallery).added == 6
    assert index_images(folder, gallery).unchanged == 6
    report = verify_gallery(gallery)
    assert (report.ok, report.changed_files) == (True, ())
    # Another such time is still seen as a change, and so is the content behind it.
    file.write_bytes(encode(picture(seed=77)))
    os.utime(file, (other - 60, other - 60))
    assert verify_gallery(gallery).changed_files == (str(file),)
    assert index_images(folder, gallery).updated == 1


def test_a_log_has_the_traceback_when_it_is_wanted(
    gallery: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cbir.errors")
    index_images(Images([_image("odd.png", seed=50, error=KeyError("tag"))]), gallery)
    assert "/images/odd.png failed with KeyError: 'tag'" in caplog.text
    assert "Traceback" in caplog.text


def test_an_expected_failure_is_not_logged(
    gallery: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    index_images(Images([_image("odd.png", seed=50, error=ImageError("gone"))]), gallery)
    assert caplog.text == ""


def test_times_of_a_parquet_file_that_python_does_not_have(folder: Path, gallery: Gallery) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    far, near = 10**16, 1_700_000_000_000
    table = pa.table(
        {
            "path": ["even/0.png", "even/2.png", "even/4.png"],
            "taken": pa.array([near, far, -far], pa.timestamp("ms")),
            "abroad": pa.array([near, far, None], pa.timestamp("ms", tz="+14:00")),
            "day": pa.array([86_400_000, 86_400_000 * 10**9, None], pa.date64()),
            "length": pa.array([1, 2**62, None], pa.duration("ms")),
            "number": pa.array([1, 2**64 - 1, None], pa.uint64()),
        }
    )
    parquet.write_table(table, folder / "feed.parquet")
    report = index_images(folder / "feed.parquet", gallery)
    assert (report.added, report.failed) == (3, ())
    far_off = gallery.find(str(folder / "even" / "2.png")).metadata
    assert far_off["taken"] == "10000000000000000 timestamp[ms]"
    assert far_off["number"] == 2**64 - 1
    assert gallery.find(str(folder / "even" / "0.png")).metadata["taken"].startswith("2023-11-14")
