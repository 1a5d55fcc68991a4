"""Stage 3: reads, decodes and embeds a chunk of images, in a thread or on another machine.

`embed_chunk` is the function that another machine runs. Its arguments and results can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cbir.config import GalleryConfig
from cbir.embedding import Embedder, Precision, Runtime, embedder_for
from cbir.embedding.encoded import DecodeAll, embed_encoded
from cbir.errors import CbirError, ImageError, reason_of
from cbir.images import DecodeOptions, check_header
from cbir.indexing.values import (
    CheckedImage,
    ChunkResult,
    EmbeddedImage,
    ImageTask,
    MatchedImage,
    UnchangedImage,
    UnreadableImage,
)
from cbir.sources.content import Content, NotModified
from cbir.sources.reading import content_hash
from cbir.types import ImageVersion

__all__ = [
    "ContentSet",
    "EmbedderConfig",
    "check_chunk",
    "embed_chunk",
    "process_chunk",
]

Read = Callable[[], Content | NotModified]
"""Returns the content of one image of a chunk. Raises ImageError."""


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """The configuration for embedding images of a gallery; can be pickled.

    The options are those of `cbir.load_embedder`.
    """

    gallery: GalleryConfig
    device: str = "auto"
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    streams: int | None = None

    @property
    def decode_options(self) -> DecodeOptions:
        gallery, spec = self.gallery, self.gallery.spec
        return DecodeOptions(spec.preprocessing, spec.views, gallery.regions, gallery.ground)

    def open(self) -> Embedder:
        """Open an embedder. Raises BackboneError, WeightsError as `cbir.load_embedder` does."""
        return embedder_for(
            self.gallery,
            device=self.device,
            runtime=self.runtime,
            precision=self.precision,
            streams=self.streams,
        )


class ContentSet:
    """The set of content hashes of a source's images, 16 bytes each; can be pickled."""

    def __init__(self, hashes: npt.NDArray[np.bytes_] | None = None) -> None:
        """`hashes` (N,) of dtype S16, ascending."""
        self._hashes = np.empty(0, "S16") if hashes is None else hashes

    def __contains__(self, content_hash: bytes) -> bool:
        value = np.array(content_hash, "S16")
        place = int(np.searchsorted(self._hashes, value))
        return place < len(self._hashes) and bool(self._hashes[place] == value)


def embed_chunk(
    tasks: Sequence[ImageTask], config: EmbedderConfig, contents: ContentSet | None = None
) -> list[ChunkResult]:
    """Read, decode and embed images, given by URI or as bytes; results are in the order of tasks.

    An image that cannot be read, or that raises anything else, gives an UnreadableImage. The
    network stays open for the next chunk in this process. With `contents`, moved images are not
    embedded again. Raises BackboneError, WeightsError where the network cannot be opened.
    """
    return process_chunk(
        tasks, _opened(config), config.decode_options, contents=contents or ContentSet()
    )


@lru_cache(maxsize=1)
def _opened(config: EmbedderConfig) -> Embedder:
    return config.open()


def process_chunk(
    tasks: Sequence[ImageTask],
    embedder: Embedder,
    options: DecodeOptions,
    *,
    contents: ContentSet,
    decode_all: DecodeAll | None = None,
    reads: Sequence[Read] | None = None,
) -> list[ChunkResult]:
    """`embed_chunk` with an open embedder; images and regions are embedded as one batch.

    `decode_all` may decode in other processes, and `reads` returns images that were read ahead.
    """
    results: list[ChunkResult | None] = []
    pending: list[tuple[int, bytes, Content]] = []
    for position, task in enumerate(tasks):
        content = _read(task, task.read if reads is None else reads[position], contents)
        if isinstance(content, tuple):
            encoded, digest = content
            pending.append((position, digest, encoded))
            results.append(None)
        else:
            results.append(content)
    pictures = embed_encoded(
        embedder, [encoded.data for *_, encoded in pending], options, decode_all
    )
    for (position, digest, encoded), picture in zip(pending, pictures, strict=True):
        if isinstance(picture, Exception):
            version = encoded.version if isinstance(picture, ImageError) else None
            results[position] = _unreadable(tasks[position], picture, version)
            continue
        results[position] = EmbeddedImage(
            digest,
            encoded.version,
            picture.width,
            picture.height,
            picture.vectors[0],
            picture.vectors[1:] if options.regions else None,
            picture.remarks,
        )
    return [result for result in results if result is not None]


def _unreadable(
    task: ImageTask, error: Exception, version: ImageVersion | None = None
) -> UnreadableImage:
    """The failure of one image; an unexpected one has no version, so every run tries it again."""
    return UnreadableImage(
        reason_of(error, task.uri), version if isinstance(error, CbirError) else None
    )


def check_chunk(
    tasks: Sequence[ImageTask], *, contents: ContentSet, reads: Sequence[Read] | None = None
) -> list[ChunkResult]:
    """`embed_chunk` for a plan: checks image headers, without decoding or embedding."""
    results: list[ChunkResult] = []
    for position, task in enumerate(tasks):
        content = _read(task, task.read if reads is None else reads[position], contents)
        if not isinstance(content, tuple):
            results.append(content)
            continue
        try:
            check_header(content[0].data)
            results.append(CheckedImage())
        except Exception as error:
            results.append(_unreadable(task, error))
    return results


def _read(task: ImageTask, read: Read, contents: ContentSet) -> tuple[Content, bytes] | ChunkResult:
    """The encoded image and its hash if it must be decoded; otherwise the result."""
    try:
        content = read()
    except Exception as error:
        # A failed read has no version: the image is tried again at every run.
        return _unreadable(task, error)
    if isinstance(content, NotModified):
        return UnchangedImage(content.version, modified=False)
    digest = content_hash(content.data)
    if digest == task.content_hash:
        return UnchangedImage(content.version)
    if task.match and digest in contents:
        return MatchedImage(digest, content.version)
    return content, digest
