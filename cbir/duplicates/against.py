"""Which of the images of a source are in a gallery already, without indexing them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from os import PathLike
from typing import TypeVar

import numpy as np

from cbir.config import available_cores
from cbir.descriptors.thumbnails import phash
from cbir.duplicates.find import NEIGHBOURS, VERIFIED_SIMILARITY
from cbir.duplicates.hashes import Meeting
from cbir.duplicates.parts import is_copy
from cbir.duplicates.stock import Contents, Stock, load_contents, load_littles
from cbir.duplicates.values import Evidence, Progress
from cbir.duplicates.verifying import Verifier, shape_of
from cbir.duplicates.whole import FORM_NAMES, same_pictures
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.images import DecodedImage, decode_views
from cbir.similarity.perceptual_hash import perceptual_hashes
from cbir.similarity.tiny import TinyImages
from cbir.sources import RepeatedImage, Source, SourceImage, distinct, open_source
from cbir.sources.reading import content_hash
from cbir.types import FailedImage, ImageRecord

__all__ = ["Known", "Newcomers", "find_known"]

FILES_AT_ONCE = 64
"""Read, embedded and compared together: what is held in memory."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose picture the gallery has."""

    uri: str
    name: str
    size: int
    image: ImageRecord
    """Of the gallery; the likest one where there are several."""
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Newcomers:
    """The images of a source, held against a gallery."""

    known: tuple[Known, ...]
    new: tuple[str, ...]
    """URIs of those that the gallery does not have."""
    failed: tuple[FailedImage, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read; `exact` is the image with its bytes, or else the rest is there."""

    image: SourceImage
    size: int
    exact: int | None
    decoded: DecodedImage | None = None
    little: TinyImages | None = None


def find_known(
    source: str | PathLike[str] | Source,
    gallery: Gallery,
    *,
    verify: bool = False,
    embedder: Embedder | None = None,
    progress: Progress | None = None,
) -> Newcomers:
    """Hold every image of a source against a gallery; nothing is added to it.

    As `find_duplicates` compares the images of a gallery. Files are worked on 64 at a time. A file
    that cannot be read is a failure, and stops nothing. Raises SourceError when the source cannot
    be read at all, GalleryError when the gallery cannot be written to.
    """
    started = time.perf_counter()
    tell: Progress = progress or (lambda stage, done, total: None)
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    judge = _Judge(gallery, verify=verify, embedder=embedder or gallery.embedder(), tell=tell)
    known: list[Known] = []
    new: list[str] = []
    failed: list[FailedImage] = []
    total, done = opened.count(), 0
    try:
        entries = (e for e in distinct(opened) if not isinstance(e, RepeatedImage))
        for chunk in _chunks(entries, FILES_AT_ONCE):
            for image, outcome in zip(chunk, judge.judge(chunk), strict=True):
                if isinstance(outcome, Known):
                    known.append(outcome)
                elif isinstance(outcome, FailedImage):
                    failed.append(outcome)
                else:
                    new.append(image.uri)
            done += len(chunk)
            tell("comparing", done, total)
    finally:
        judge.close()
    return Newcomers(tuple(known), tuple(new), tuple(failed), time.perf_counter() - started)


class _Judge:
    """Compares chunks of files with a gallery that was read once."""

    def __init__(
        self, gallery: Gallery, *, verify: bool, embedder: Embedder, tell: Progress
    ) -> None:
        self._gallery = gallery
        self._embedder = embedder
        self._contents: Contents = load_contents(gallery)
        self._stock: Stock = load_littles(gallery, self._contents.ids, tell)
        self._meeting = Meeting(self._stock.prints)
        self._verifier = Verifier(gallery) if verify else None
        self._pool = ThreadPoolExecutor(available_cores(), "cbir-read")

    def judge(self, chunk: Sequence[SourceImage | FailedImage]) -> list[Known | FailedImage | None]:
        """What is known of each file; None where nothing is."""
        outcomes: list[Known | FailedImage | None] = [None] * len(chunk)
        evidence: dict[int, Evidence] = {}
        files: dict[int, _Read] = {}
        fresh: list[int] = []
        read = partial(_read, embedder=self._embedder, contents=self._contents)
        for place, file in enumerate(self._pool.map(read, chunk)):
            if isinstance(file, FailedImage):
                outcomes[place] = file
                continue
            files[place] = file
            if file.exact is not None:
                evidence[place] = Evidence(0, file.exact, "exact")
            else:
                fresh.append(place)
        if fresh and self._contents.images:
            evidence |= self._compare([files[place] for place in fresh], fresh)
        records = self._gallery.catalog.records({one.second for one in evidence.values()})
        for place, one in evidence.items():
            image = files[place].image
            if one.second in records:
                outcomes[place] = Known(
                    image.uri, image.name, files[place].size, records[one.second], one
                )
        return outcomes

    def close(self) -> None:
        self._pool.shutdown()
        if self._verifier is not None:
            self._verifier.close()

    def _compare(self, files: Sequence[_Read], places: Sequence[int]) -> dict[int, Evidence]:
        """Evidence by place, of the files that are near or verified copies."""
        pixels = [file.decoded.pixels for file in files if file.decoded is not None]
        vectors = self._gallery.project(embed_views(self._embedder, pixels))
        nearest = self._gallery.image_index().search(
            vectors, min(NEIGHBOURS, len(self._contents.ids))
        )
        alike = [
            {i: float(s) for i, s in zip(*pair, strict=True) if i >= 0}
            for pair in zip(nearest.ids.tolist(), nearest.similarities.tolist(), strict=True)
        ]
        found = self._near(files, alike)
        if self._verifier is not None:
            for row, file in enumerate(files):
                one = None if row in found else self._verified(file, alike[row])
                if one is not None:
                    found[row] = one
        return {places[row]: one for row, one in found.items()}

    def _near(
        self, files: Sequence[_Read], alike: Sequence[dict[int, float]]
    ) -> dict[int, Evidence]:
        """The surest evidence by row, of the same whole pictures."""
        stock = self._stock
        littles = np.stack([file.little for file in files if file.little is not None])
        prints = perceptual_hashes(littles)
        rows = {image_id: row for row, image_id in enumerate(stock.ids.tolist())}
        by_embedding = [
            (own, rows[i]) for own, similar in enumerate(alike) for i in similar if i in rows
        ]
        pairs = np.concatenate(
            [self._meeting.pairs(prints), np.array(by_embedding, np.int64).reshape(-1, 2)]
        )
        both = (littles, prints), (stock.littles, stock.prints)
        found: dict[int, Evidence] = {}
        for same in sorted(same_pictures(np.unique(pairs, axis=0), *both), key=lambda s: s.bits):
            image, form = int(stock.ids[same.second]), FORM_NAMES[same.form]
            similarity = alike[same.first].get(image)
            one = Evidence(0, image, "near", similarity, same.bits, form=form)
            found.setdefault(same.first, one)
        return found

    def _verified(self, file: _Read, alike: dict[int, float]) -> Evidence | None:
        """Evidence that the file shows a part of an image of the gallery, or the reverse."""
        assert self._verifier is not None
        asked = [i for i, similarity in alike.items() if similarity >= VERIFIED_SIMILARITY]
        if not asked:
            return None
        try:
            shape = shape_of(file.image.read())
        except ImageError:  # gone since it was read
            return None
        outcomes = self._verifier.compare([(shape, i) for i in asked])
        for i, found in zip(asked, outcomes, strict=True):
            if found is not None and is_copy(found):
                return Evidence(0, i, "verified", alike[i], inliers=found.inliers)
        return None


def _read(
    entry: SourceImage | FailedImage, *, embedder: Embedder, contents: Contents
) -> _Read | FailedImage:
    """Read a file, and decode it unless the gallery has these bytes."""
    if isinstance(entry, FailedImage):
        return entry
    try:
        data = entry.read()
        exact = contents.by_hash.get(content_hash(data))
        if exact is not None:
            return _Read(entry, len(data), exact)
        decoded = decode_views(data, embedder.spec.preprocessing, embedder.spec.views)
        return _Read(entry, len(data), None, decoded, phash().describe(data))
    except ImageError as error:
        return FailedImage(entry.uri, str(error), entry.key)


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
