"""Stage 3: reads, decodes and embeds a chunk of images, in a thread or on another machine.

`embed_chunk` is the function that another machine runs. Its arguments and results can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cbir.arrays import Pixels, Vectors
from cbir.config import GalleryConfig
from cbir.embedding import Embedder, Precision, Runtime, embed_views, embedder_for
from cbir.errors import CbirError, reason_of
from cbir.images import DecodedImage, DecodeOptions, check_header, decode_image
from cbir.images.processes import Decode
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
    "embed_parts",
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
    decode: Decode = decode_image,
    reads: Sequence[Read] | None = None,
) -> list[ChunkResult]:
    """`embed_chunk` with an open embedder; images and regions are embedded as one batch.

    `decode` may run in another process, and `reads` returns images that were read ahead.
    """
    results: list[ChunkResult | None] = []
    decoded: list[tuple[int, bytes, Content, DecodedImage]] = []
    for position, task in enumerate(tasks):
        content = _read(task, task.read if reads is None else reads[position], contents)
        if not isinstance(content, tuple):
            results.append(content)
            continue
        encoded, digest = content
        try:
            image = decode(encoded.data, options)
        except Exception as error:  # whatever a file does to a decoder, it fails alone
            results.append(_unreadable(task, error, encoded.version))
            continue
        results.append(None)
        decoded.append((position, digest, encoded, image))
    embeddings = embed_parts(embedder, [image.pixels for *_, image in decoded])
    for (position, digest, encoded, image), embedding in zip(decoded, embeddings, strict=True):
        if isinstance(embedding, Exception):
            results[position] = _unreadable(tasks[position], embedding)
            continue
        results[position] = EmbeddedImage(
            digest,
            encoded.version,
            image.width,
            image.height,
            embedding[0],
            embedding[1:] if options.regions else None,
            image.remarks,
        )
    return [result for result in results if result is not None]


def embed_parts(embedder: Embedder, images: Sequence[Pixels]) -> list[Vectors | Exception]:
    """Embed images of P parts each, (P, V, crop, crop, 3), as one batch → (P, D) for each image.

    If that raises, images are embedded one by one, and the result of one that raises again is its
    exception. Raises it where the network does not embed a black image either.
    """
    if not images:
        return []
    try:
        vectors = embed_views(embedder, [part for image in images for part in image])
    except Exception:
        outcomes = [_embedded_alone(embedder, image) for image in images]
        if all(isinstance(outcome, Exception) for outcome in outcomes):
            embed_views(embedder, [np.zeros_like(images[0][0])])
        return outcomes
    return np.split(vectors, np.cumsum([len(image) for image in images])[:-1])


def _embedded_alone(embedder: Embedder, image: Pixels) -> Vectors | Exception:
    try:
        return embed_views(embedder, list(image))
    except Exception as error:
        return error


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
