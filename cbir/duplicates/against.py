"""Compares the images of a source with a gallery, without indexing them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from os import PathLike
from typing import TypeVar

import numpy as np
from typing_extensions import Self

from cbir.config import available_cores
from cbir.descriptors.thumbnails import phash
from cbir.duplicates.alignment import is_copy
from cbir.duplicates.multi_index_hash import MultiIndexHash
from cbir.duplicates.perceptual import ORIENTATION_NAMES, perceptual_matches
from cbir.duplicates.result import Evidence, KnownFile, SourceComparison
from cbir.duplicates.thumbnails import Contents, load_contents, load_thumbnails
from cbir.duplicates.verifier import Verifier, alignable
from cbir.duplicates.within import NEIGHBOURS, VERIFIED_SIMILARITY, no_progress
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError, reason_of
from cbir.gallery import Gallery
from cbir.images import DecodedImage, decode_views
from cbir.similarity.perceptual_hash import perceptual_hashes
from cbir.similarity.tiny import TinyImages
from cbir.sources import RepeatedImage, Source, SourceImage, distinct, open_source
from cbir.sources.reading import content_hash
from cbir.types import FailedImage, StageProgress

__all__ = ["find_known"]

FILES_AT_ONCE = 64
"""Files that are read, embedded and compared together, and held in memory."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _ReadFile:
    """A file of the source, read: the id of an image with the same bytes, or the decoded pixels."""

    image: SourceImage
    size: int
    exact: int | None
    decoded: DecodedImage | None = None
    tiny: TinyImages | None = None


def find_known(
    source: str | PathLike[str] | Source,
    gallery: Gallery,
    *,
    verify: bool = False,
    embedder: Embedder | None = None,
    files_at_once: int = FILES_AT_ONCE,
    progress: StageProgress | None = None,
) -> SourceComparison:
    """Find the images of a source that a gallery has already; the gallery is not changed.

    Images are compared as `find_duplicates` compares those of a gallery. A file that cannot be read
    is reported as a failure. Raises SourceError when the source cannot be read at all, GalleryError
    when the gallery cannot be written to.
    """
    started = time.perf_counter()
    progress = progress or no_progress
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    known: list[KnownFile] = []
    new: list[str] = []
    failed: list[FailedImage] = []
    total, done = opened.count(), 0
    embedder = embedder or gallery.embedder()
    with _Comparison(gallery, embedder, verify=verify, progress=progress) as comparison:
        entries = (e for e in distinct(opened) if not isinstance(e, RepeatedImage))
        for chunk in _chunks(entries, files_at_once):
            for image, outcome in zip(chunk, comparison.compare(chunk), strict=True):
                if isinstance(outcome, KnownFile):
                    known.append(outcome)
                elif isinstance(outcome, FailedImage):
                    failed.append(outcome)
                else:
                    new.append(image.uri)
            done += len(chunk)
            progress("comparing", done, total)
    seconds = time.perf_counter() - started
    return SourceComparison(tuple(known), tuple(new), tuple(failed), seconds)


class _Comparison:
    """Compares chunks of files with a gallery that is loaded once."""

    def __init__(
        self, gallery: Gallery, embedder: Embedder, *, verify: bool, progress: StageProgress
    ) -> None:
        self._gallery = gallery
        self._embedder = embedder
        self._contents = load_contents(gallery)
        self._thumbnails = load_thumbnails(gallery, self._contents.ids, progress)
        self._rows = {image_id: row for row, image_id in enumerate(self._thumbnails.ids.tolist())}
        self._hashes = MultiIndexHash(self._thumbnails.hashes)
        self._closing = ExitStack()
        self._verifier = self._closing.enter_context(Verifier(gallery)) if verify else None
        self._pool = self._closing.enter_context(ThreadPoolExecutor(available_cores(), "cbir-read"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def compare(
        self, chunk: Sequence[SourceImage | FailedImage]
    ) -> list[KnownFile | FailedImage | None]:
        """The outcome for each file; None for one that the gallery does not have."""
        outcomes: list[KnownFile | FailedImage | None] = [None] * len(chunk)
        evidence: dict[int, Evidence] = {}
        files: dict[int, _ReadFile] = {}
        others: list[int] = []
        read = partial(_read, embedder=self._embedder, contents=self._contents)
        for place, file in enumerate(self._pool.map(read, chunk)):
            if isinstance(file, FailedImage):
                outcomes[place] = file
                continue
            files[place] = file
            if file.exact is not None:
                evidence[place] = Evidence(0, file.exact, "exact")
            else:
                others.append(place)
        if others and self._contents.images:
            evidence |= self._compare_pixels([files[place] for place in others], others)
        records = self._gallery.catalog.records({pair.second for pair in evidence.values()})
        for place, pair in evidence.items():
            file = files[place]
            if pair.second in records:
                outcomes[place] = KnownFile(
                    file.image.uri, file.image.name, file.size, records[pair.second], pair
                )
        return outcomes

    def _compare_pixels(
        self, files: Sequence[_ReadFile], places: Sequence[int]
    ) -> dict[int, Evidence]:
        """Evidence by place, of the files that are near or verified duplicates."""
        pixels = [file.decoded.pixels for file in files if file.decoded is not None]
        vectors = self._gallery.project(embed_views(self._embedder, pixels))
        count = min(NEIGHBOURS, len(self._contents.ids))
        nearest = self._gallery.image_index().search(vectors, count)
        similarities = [
            {i: float(s) for i, s in zip(*pair, strict=True) if i >= 0}
            for pair in zip(nearest.ids.tolist(), nearest.similarities.tolist(), strict=True)
        ]
        evidence = self._near(files, similarities)
        if self._verifier is not None:
            for row, file in enumerate(files):
                if row in evidence:
                    continue
                verified = self._verified(file, similarities[row])
                if verified is not None:
                    evidence[row] = verified
        return {places[row]: pair for row, pair in evidence.items()}

    def _near(
        self, files: Sequence[_ReadFile], similarities: Sequence[dict[int, float]]
    ) -> dict[int, Evidence]:
        """The surest evidence of a near duplicate, by row."""
        thumbnails = self._thumbnails
        tiny = np.stack([file.tiny for file in files if file.tiny is not None])
        hashes = perceptual_hashes(tiny)
        by_embedding = [
            (row, self._rows[i])
            for row, neighbours in enumerate(similarities)
            for i in neighbours
            if i in self._rows
        ]
        pairs = np.concatenate(
            [self._hashes.pairs(hashes), np.array(by_embedding, np.int64).reshape(-1, 2)]
        )
        matches = perceptual_matches(np.unique(pairs, axis=0), (tiny, hashes), thumbnails.compared)
        evidence: dict[int, Evidence] = {}
        for match in sorted(matches, key=lambda match: match.bits):
            image = int(thumbnails.ids[match.second])
            similarity = similarities[match.first].get(image)
            form = ORIENTATION_NAMES[match.orientation]
            near = Evidence(0, image, "near", similarity, match.bits, form=form)
            evidence.setdefault(match.first, near)
        return evidence

    def _verified(self, file: _ReadFile, similarities: dict[int, float]) -> Evidence | None:
        """Evidence that the file shows a part of an image of the gallery, or the reverse."""
        assert self._verifier is not None
        similar = [i for i, s in similarities.items() if s >= VERIFIED_SIMILARITY]
        if not similar:
            return None
        try:
            query = alignable(file.image.read())
        except ImageError:  # removed since it was read
            return None
        alignments = self._verifier.align([(query, i) for i in similar])
        for i, alignment in zip(similar, alignments, strict=True):
            if alignment is not None and is_copy(alignment):
                return Evidence(0, i, "verified", similarities[i], inliers=alignment.inliers)
        return None


def _read(
    entry: SourceImage | FailedImage, *, embedder: Embedder, contents: Contents
) -> _ReadFile | FailedImage:
    """Read a file, and decode it unless the gallery has the same bytes."""
    if isinstance(entry, FailedImage):
        return entry
    try:
        data = entry.read()
        exact = contents.by_hash.get(content_hash(data))
        if exact is not None:
            return _ReadFile(entry, len(data), exact)
        decoded = decode_views(data, embedder.spec.preprocessing, embedder.spec.views)
        return _ReadFile(entry, len(data), None, decoded, phash().describe(data))
    except Exception as error:
        return FailedImage(entry.uri, reason_of(error, entry.uri), entry.key)


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
