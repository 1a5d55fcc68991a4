"""Encoded images to vectors: decoded by the CPU, or on the device that runs the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.embedding.embedder import Embedder
from cbir.embedding.views import embed_views
from cbir.embedding.wrappers import LazyEmbedder
from cbir.images import DecodedImage, DecodeOptions, decode_image
from cbir.types import Remark

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
    remarks: tuple[Remark, ...] = ()


Result: TypeAlias = "EmbeddedPicture | Exception"
DecodeAll: TypeAlias = (
    "Callable[[Sequence[bytes], DecodeOptions], Sequence[DecodedImage | Exception]]"
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
    """Decode and embed N encoded images; an exception for each one that fails.

    Images and their regions are embedded as one batch. An embedder on a GPU decodes most JPEGs
    there; `decode_all` decodes all others, by default in the calling thread.
    """
    decode_all = decode_all or decode_each
    opened = embedder.opened() if isinstance(embedder, LazyEmbedder) else embedder
    if isinstance(opened, EncodedEmbedder):
        return opened.embed_encoded(images, options, decode_all)
    return embed_decoded(opened, decode_all(images, options))


def embed_decoded(
    embedder: Embedder, images: Sequence[DecodedImage | Exception]
) -> Sequence[Result]:
    """Embed images that the CPU has decoded, each with its regions, as one batch."""
    decoded = [image for image in images if isinstance(image, DecodedImage)]
    embedded = iter(_embed_parts(embedder, [image.pixels for image in decoded]))
    return [
        image if isinstance(image, Exception) else _picture(image, next(embedded))
        for image in images
    ]


def _picture(image: DecodedImage, vectors: Vectors | Exception) -> Result:
    if isinstance(vectors, Exception):
        return vectors
    return EmbeddedPicture(image.width, image.height, vectors, image.remarks)


def _embed_parts(embedder: Embedder, images: Sequence[Pixels]) -> list[Vectors | Exception]:
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
    return [*np.split(vectors, np.cumsum([len(image) for image in images])[:-1])]


def _embedded_alone(embedder: Embedder, image: Pixels) -> Vectors | Exception:
    try:
        return embed_views(embedder, list(image))
    except Exception as error:
        return error


def decode_each(
    images: Sequence[bytes], options: DecodeOptions
) -> Sequence[DecodedImage | Exception]:
    """Decode images one after the other in the calling thread."""
    results: list[DecodedImage | Exception] = []
    for data in images:
        try:
            results.append(decode_image(data, options))
        except Exception as error:  # whatever a file does to a decoder, it fails alone
            results.append(error)
    return results
