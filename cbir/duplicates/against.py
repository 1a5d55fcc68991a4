"""Compares the images of a source with a gallery, without indexing them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from os import PathLike
from typing import TypeAlias, TypeVar

import numpy as np
from typing_extensions import Self

from cbir.config import Ground, available_cores
from cbir.descriptors.thumbnails import phash
from cbir.duplicates.alignment import is_copy
from cbir.duplicates.comparison import VERIFIED_SIMILARITY
from cbir.duplicates.decider import RAW, Candidate, Decider, is_raw_name
from cbir.duplicates.decision import Decision, Picture
from cbir.duplicates.links import COVERED
from cbir.duplicates.multi_index_hash import MultiIndexHash
from cbir.duplicates.perceptual import ORIENTATION_NAMES, perceptual_matches
from cbir.duplicates.pictures import picture_of
from cbir.duplicates.result import AlikeFile, Evidence, KnownFile, SourceComparison
from cbir.duplicates.thumbnails import Contents, load_contents, load_thumbnails
from cbir.duplicates.verifier import Verifier, alignable
from cbir.duplicates.within import NEIGHBOURS, no_progress
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError, reason_of
from cbir.gallery import Gallery
from cbir.images import DecodedImage, decode_views
from cbir.similarity.perceptual_hash import perceptual_hashes
from cbir.similarity.tiny import TinyImages
from cbir.sources import RepeatedImage, Source, SourceImage, distinct, open_source
from cbir.sources.reading import content_hash
from cbir.types import FailedImage, ImageRecord, StageProgress

__all__ = ["find_known"]

FILES_AT_ONCE = 64
"""Files that are read, embedded and compared together, and held in memory."""

CANDIDATES = 20
"""Most images of the gallery about which is decided, for one file."""

Outcome: TypeAlias = "KnownFile | AlikeFile | FailedImage | None"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _ReadFile:
    """A file of the source, read: the id of an image with the same bytes, or the decoded pixels."""

    image: SourceImage
    size: int
    content: str
    """Hash of its bytes, in hexadecimal."""
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

    Images are compared as `find_duplicates` compares those of a gallery; a file that is not proven
    to be a copy counts as new. A file that cannot be read is reported as a failure. Raises
    SourceError when the source cannot be read at all, GalleryError when the gallery cannot be
    written to.
    """
    started = time.perf_counter()
    progress = progress or no_progress
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    known: list[KnownFile] = []
    alike: list[AlikeFile] = []
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
                    if outcome is not None:
                        alike.append(outcome)
            done += len(chunk)
            progress("comparing", done, total)
    seconds = time.perf_counter() - started
    return SourceComparison(tuple(known), tuple(new), tuple(failed), seconds, tuple(alike))


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
        self._decider = self._closing.enter_context(Decider(gallery))
        self._verifier = self._closing.enter_context(Verifier(gallery)) if verify else None
        self._pool = self._closing.enter_context(ThreadPoolExecutor(available_cores(), "cbir-read"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def compare(self, chunk: Sequence[SourceImage | FailedImage]) -> list[Outcome]:
        """The outcome for each file; None for one that is like no image of the gallery."""
        outcomes: list[Outcome] = [None] * len(chunk)
        evidence: dict[int, tuple[Evidence, Decision]] = {}
        files: dict[int, _ReadFile] = {}
        others: list[int] = []
        ground = self._gallery.config.ground
        read = partial(_read, embedder=self._embedder, contents=self._contents, ground=ground)
        for place, file in enumerate(self._pool.map(read, chunk)):
            if isinstance(file, FailedImage):
                outcomes[place] = file
                continue
            files[place] = file
            if file.exact is not None:
                evidence[place] = Evidence(0, file.exact, "exact"), Decision("copy")
            else:
                others.append(place)
        if others and self._contents.images:
            decided = self._compare_pixels([files[place] for place in others])
            evidence |= {others[row]: pair for row, pair in decided.items()}
        records = self._gallery.catalog.records({pair.second for pair, _ in evidence.values()})
        for place, (pair, decision) in evidence.items():
            if pair.second in records:
                outcomes[place] = _outcome(files[place], records[pair.second], pair, decision)
        return outcomes

    def _compare_pixels(self, files: Sequence[_ReadFile]) -> dict[int, tuple[Evidence, Decision]]:
        """What was decided, by row, of the files that are copies or not proven to be."""
        pixels = [file.decoded.pixels for file in files if file.decoded is not None]
        vectors = self._gallery.project(embed_views(self._embedder, pixels))
        count = min(NEIGHBOURS, len(self._contents.ids))
        nearest = self._gallery.image_index().search(vectors, count)
        similarities = [
            {i: float(s) for i, s in zip(*pair, strict=True) if i >= 0}
            for pair in zip(nearest.ids.tolist(), nearest.similarities.tolist(), strict=True)
        ]
        decided = self._decide(files, self._near(files, similarities))
        if self._verifier is not None:
            rest = [row for row in range(len(files)) if not _is_known(decided.get(row))]
            aligned = {row: self._aligned(files[row], similarities[row]) for row in rest}
            for row, pair in self._decide(files, aligned).items():
                if row not in decided or _is_known(pair):
                    decided[row] = pair
        return decided

    def _decide(
        self, files: Sequence[_ReadFile], candidates: dict[int, list[tuple[Candidate, Evidence]]]
    ) -> dict[int, tuple[Evidence, Decision]]:
        """The first copy of each file, else the first image that is alike; by row."""
        decided: dict[int, tuple[Evidence, Decision]] = {}
        pictures: dict[int, Picture | None] = {}
        for turn in range(max(map(len, candidates.values()), default=0)):
            rows = [
                row
                for row, pairs in candidates.items()
                if turn < len(pairs) and not _is_known(decided.get(row))
            ]
            missing = [row for row in rows if row not in pictures]
            read = self._pool.map(_picture, [files[row] for row in missing])
            pictures.update(zip(missing, read, strict=True))
            seen = [(row, picture) for row in rows if (picture := pictures[row]) is not None]
            pairs = [candidates[row][turn] for row, _ in seen]
            decisions = self._decider.decide(
                [
                    replace(candidate, first=picture)
                    for (candidate, _), (_, picture) in zip(pairs, seen, strict=True)
                ]
            )
            for (row, _), (_, evidence), decision in zip(seen, pairs, decisions, strict=True):
                if decision.outcome == "copy" and _is_raw(files[row]):
                    decision = Decision("alike", RAW)
                is_known = _is_known((evidence, decision))
                if is_known or (decision.outcome != "different" and row not in decided):
                    decided[row] = evidence, decision
        return decided

    def _near(
        self, files: Sequence[_ReadFile], similarities: Sequence[dict[int, float]]
    ) -> dict[int, list[tuple[Candidate, Evidence]]]:
        """Candidates for near duplicates by row, the surest first."""
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
        candidates: dict[int, list[tuple[Candidate, Evidence]]] = {}
        for match in sorted(matches, key=lambda match: match.bits):
            image = int(thumbnails.ids[match.second])
            similarity = similarities[match.first].get(image)
            form = ORIENTATION_NAMES[match.orientation]
            near = Evidence(0, image, "near", similarity, match.bits, form=form)
            mine = candidates.setdefault(match.first, [])
            if len(mine) < CANDIDATES:
                mine.append((Candidate(0, image, orientation=match.orientation), near))
        return candidates

    def _aligned(
        self, file: _ReadFile, similarities: dict[int, float]
    ) -> list[tuple[Candidate, Evidence]]:
        """Candidates by local features: images of which the file shows a part, or the reverse."""
        assert self._verifier is not None
        similar = [i for i, s in similarities.items() if s >= VERIFIED_SIMILARITY]
        if not similar:
            return []
        try:
            query = alignable(file.image.read())
        except ImageError:  # removed since it was read
            return []
        alignments = self._verifier.align([(query, i) for i in similar])
        return [
            (
                Candidate(0, i, shares=alignment.shares),
                Evidence(0, i, "verified", similarities[i], inliers=alignment.inliers),
            )
            for i, alignment in zip(similar, alignments, strict=True)
            if alignment is not None and is_copy(alignment)
        ]


def _is_raw(file: _ReadFile) -> bool:
    remarks = () if file.decoded is None else file.decoded.remarks
    return is_raw_name(file.image.uri) or any(remark.kind == "raw" for remark in remarks)


def _is_known(pair: tuple[Evidence, Decision] | None) -> bool:
    """Whether the gallery shows all that a file does."""
    return pair is not None and pair[1].outcome == "copy" and pair[1].first_covered >= COVERED


def _outcome(
    file: _ReadFile, image: ImageRecord, evidence: Evidence, decision: Decision
) -> KnownFile | AlikeFile:
    uri, name = file.image.uri, file.image.name
    if _is_known((evidence, decision)):
        return KnownFile(uri, name, file.size, image, evidence, file.content)
    reason = decision.reason or "it shows more than the image of the gallery"
    return AlikeFile(uri, name, image, reason, evidence)


def _picture(file: _ReadFile) -> Picture | None:
    """The picture of a file, read once more; None where it has changed meanwhile."""
    try:
        data = file.image.read()
        return picture_of(data) if content_hash(data).hex() == file.content else None
    except ImageError:
        return None


def _read(
    entry: SourceImage | FailedImage, *, embedder: Embedder, contents: Contents, ground: Ground
) -> _ReadFile | FailedImage:
    """Read a file, and decode it unless the gallery has the same bytes."""
    if isinstance(entry, FailedImage):
        return entry
    try:
        data = entry.read()
        digest = content_hash(data)
        exact = contents.by_hash.get(digest)
        if exact is not None:
            return _ReadFile(entry, len(data), digest.hex(), exact)
        spec = embedder.spec
        decoded = decode_views(data, spec.preprocessing, spec.views, ground=ground)
        return _ReadFile(entry, len(data), digest.hex(), None, decoded, phash().describe(data))
    except Exception as error:
        return FailedImage(entry.uri, reason_of(error, entry.uri), entry.key)


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
