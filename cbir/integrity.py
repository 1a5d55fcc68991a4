"""Verifies a gallery: the catalogue itself, its indexes, and the image files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from cbir.catalog.rows import IndexedImage
from cbir.catalog.vectors import REGION_ROWS
from cbir.errors import ImageMissingError, reason_of
from cbir.gallery import Gallery
from cbir.sources.paths import is_remote
from cbir.sources.reading import content_hash, current_version, read_uri
from cbir.types import FailedImage, ImageRecord

if TYPE_CHECKING:
    from cbir.catalog.snapshot import IndexedVectors
    from cbir.indexes.protocol import VectorIndex

READERS = 32
"""Number of threads that check images at URLs."""
PAGE = 500

Verdict: TypeAlias = 'Literal["same", "changed", "missing"] | FailedImage'


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The problems that `verify_gallery` found; `ok` if the gallery itself has none.

    Missing, changed or unreadable files are not problems of the gallery: `cbir index` brings it up
    to date.
    """

    images: int
    catalog_problems: tuple[str, ...]
    index_problems: tuple[str, ...]
    missing_files: tuple[str, ...]
    changed_files: tuple[str, ...]
    unread_files: tuple[FailedImage, ...] = ()
    """Not compared: the server did not respond, or reading is not allowed."""

    @property
    def ok(self) -> bool:
        return not self.catalog_problems and not self.index_problems


def verify_gallery(gallery: Gallery, *, content: bool = False) -> VerifyReport:
    """Compare the catalogue with its vector index and with the files on disk.

    Files are compared by size and time of modification; with `content` by hash, which reads
    them all.
    """
    missing: list[str] = []
    changed: list[str] = []
    unread: list[FailedImage] = []
    judge = partial(_judge, content=content)
    with ThreadPoolExecutor(READERS, "cbir-verify") as pool:
        images = iter(gallery.catalog.scan())
        while page := list(islice(images, PAGE)):
            # Threads pay off only for URLs, where each check waits for a server.
            remote = any(is_remote(record.uri) for record, _ in page)
            verdicts = pool.map(judge, page) if remote else map(judge, page)
            for (record, _), verdict in zip(page, verdicts, strict=True):
                if isinstance(verdict, FailedImage):
                    unread.append(verdict)
                elif verdict != "same":
                    (missing if verdict == "missing" else changed).append(record.uri)
    return VerifyReport(
        images=gallery.count(),
        catalog_problems=tuple(gallery.catalog.check()),
        index_problems=tuple(_compare_index(gallery)),
        missing_files=tuple(missing),
        changed_files=tuple(changed),
        unread_files=tuple(unread),
    )


def _judge(image: tuple[ImageRecord, IndexedImage], *, content: bool) -> Verdict:
    """Whether an image is the same as when it was indexed."""
    record, indexed = image
    try:
        if content:
            same = content_hash(read_uri(record.uri)) == indexed.content_hash
        else:
            version = current_version(record.uri)
            # Not every server reports an image's size.
            same = version.stamp == indexed.version.stamp and version.size in (
                None,
                indexed.version.size,
            )
    except ImageMissingError:
        return "missing"
    except Exception as error:
        return FailedImage(record.uri, reason_of(error, record.uri), record.key)
    return "same" if same else "changed"


def _compare_index(gallery: Gallery) -> list[str]:
    """Problems of the vector indexes, compared with the catalogue."""
    images, regions = gallery.image_index(), gallery.region_index()
    with gallery.catalog.snapshot() as snapshot:
        problems = _compare(images, snapshot, "image {0}")
        if regions is not None:
            rows = snapshot.regions(len(gallery.config.regions))
            problems += _compare(regions, rows, "region {2} of image {1}")
    return problems


def _compare(index: VectorIndex, rows: IndexedVectors, name: str) -> list[str]:
    """Problems of one index. `name` formats an id: 0 the id, 1 its image, 2 its region."""
    indexed = index.ids()
    expected: set[int] = set()
    problems: list[str] = []
    for ids, vectors in rows.changed_since(0):
        expected.update(ids.tolist())
        both = np.isin(ids, indexed)
        cosines = (index.vectors(ids[both]) * index.project(vectors[both])).sum(axis=1)
        problems += [
            f"{_called(name, i)}: its vector in the index is not the catalogue's"
            for i in ids[both][cosines < 0.999].tolist()
        ]
    repeated = len(indexed) - len(np.unique(indexed))
    if repeated:
        problems.append(f"{repeated} images are in the index twice")
    extra = sorted(set(indexed.tolist()) - expected)
    absent = sorted(expected - set(indexed.tolist()))
    problems += [f"{_called(name, i)} is in the index, not in the catalogue" for i in extra]
    problems += [f"{_called(name, i)} is in the catalogue, not in the index" for i in absent]
    return problems


def _called(name: str, row: int) -> str:
    return name.format(row, *divmod(row, REGION_ROWS))
