"""Encoded images to vectors: decoded by the CPU, or on the device that runs the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from cbir.arrays import Vectors
from cbir.embedding.embedder import Embedder
from cbir.embedding.views import embed_views
from cbir.embedding.wrappers import LazyEmbedder
from cbir.errors import ImageError
from cbir.images import DecodedImage, DecodeOptions, decode_image

__all__ = [
    "DecodeAll",
    "EmbeddedPicture",
    "EncodedEmbedder",
    "decode_each",
    "embed_decoded",
    "embed_encoded",
]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPicture:
    """An image that was decoded and embedded, with its regions."""

    width: int
    height: int
    """Size of the whole image in pixels, upright."""
    vectors: Vectors
    """(1 + R, D) float32, unit norm: the image and its regions."""


Result: TypeAlias = "EmbeddedPicture | ImageError"
DecodeAll: TypeAlias = (
    "Callable[[Sequence[bytes], DecodeOptions], Sequence[DecodedImage | ImageError]]"
)
"""Decodes images, possibly several at once; the results are in the order of the images."""


@runtime_checkable
class EncodedEmbedder(Protocol):
    """An embedder that may decode images on its device. Thread-safe."""

    def embed_encoded(
        self, images: Sequence[bytes], options: DecodeOptions, decode_all: DecodeAll
    ) -> Sequence[Result]:
        """As the function `embed_encoded`; `decode_all` decodes what the device does not."""
        ...


def embed_encoded(
    embedder: Embedder,
    images: Sequence[bytes],
    options: DecodeOptions,
    decode_all: DecodeAll | None = None,
) -> Sequence[Result]:
    """Decode and embed N encoded images; an ImageError for each one that cannot be decoded.

    Images and their regions are embedded as one batch. An embedder on a GPU decodes most JPEGs
    there; `decode_all` decodes all others, by default in the calling thread.
    """
    decode_all = decode_all or decode_each
    opened = embedder.opened() if isinstance(embedder, LazyEmbedder) else embedder
    if isinstance(opened, EncodedEmbedder):
        return opened.embed_encoded(images, options, decode_all)
    return embed_decoded(opened, decode_all(images, options))


def embed_decoded(
    embedder: Embedder, images: Sequence[DecodedImage | ImageError]
) -> Sequence[Result]:
    """Embed images that the CPU has decoded, each with its regions, as one batch."""
    decoded = [image for image in images if isinstance(image, DecodedImage)]
    vectors = embed_views(embedder, [part for image in decoded for part in image.pixels])
    parts = len(decoded[0].pixels) if decoded else 1
    rows = iter(vectors.reshape(-1, parts, embedder.spec.dim))
    return [
        EmbeddedPicture(image.width, image.height, next(rows))
        if isinstance(image, DecodedImage)
        else image
        for image in images
    ]


def decode_each(
    images: Sequence[bytes], options: DecodeOptions
) -> Sequence[DecodedImage | ImageError]:
    """Decode images one after the other in the calling thread."""
    results: list[DecodedImage | ImageError] = []
    for data in images:
        try:
            results.append(decode_image(data, options))
        except ImageError as error:
            results.append(error)
    return results
