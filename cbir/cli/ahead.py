"""A gallery's network, opened while the rest of a command is still being imported.

Half of what a search takes is importing SQLAlchemy and FAISS, on one core. Opening a network is
mostly work of OpenVINO's own, which needs none of that and lets the other core do it meanwhile.
A network's first run takes twice as long as the next ones, so that is part of it; and what it runs
on may as well be the image that is asked about.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.catalog.location import read_config_fast
from cbir.config import EmbeddingSpec
from cbir.embedding import Embedder, embed_views, embedder_for, run_once
from cbir.embedding.wrapped import WrappedEmbedder
from cbir.errors import ImageError
from cbir.images import decode_views
from cbir.sources.paths import read_file

__all__ = ["Ahead", "open_ahead"]

SWITCH_S = 0.0005
"""How long imports may keep the interpreter from OpenVINO's thread, which needs it for moments."""
SMALL_BYTES = 1 << 20
"""Larger files are not decoded here: the search itself decodes them once more."""


class Ahead:
    """An embedder that is being opened."""

    def __init__(self, opening: Future[Embedder | None]) -> None:
        self._opening = opening

    def embedder(self, spec: EmbeddingSpec) -> Embedder | None:
        """The opened embedder, if it is of this space; None where that has not worked."""
        embedder = self._opening.result()
        if embedder is None or embedder.spec.fingerprint != spec.fingerprint:
            return None
        return embedder


class RememberingEmbedder(WrappedEmbedder):
    """Knows what became of the first images it was given, should they come again."""

    def __init__(self, inner: Embedder) -> None:
        super().__init__(inner)
        self._first: tuple[Pixels, Vectors] | None = None

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        if self._first is not None and np.array_equal(self._first[0], images):
            remembered: Vectors = self._first[1].copy()
            return remembered
        vectors = self._inner.embed(images)
        if self._first is None:
            self._first = np.array(images), vectors.copy()
        return vectors


def open_ahead(gallery: Path, *, image: Path | None = None, **options: Any) -> Ahead:
    """Begin to open the network of a gallery; the options are those of `Gallery.embedder`.

    `image` is a file that will be asked about, as a whole.
    """
    sys.setswitchinterval(SWITCH_S)
    pool = ThreadPoolExecutor(1, "cbir-ahead")
    opening = pool.submit(_open, gallery, image, options)
    pool.shutdown(wait=False)
    return Ahead(opening)


def _open(gallery: Path, image: Path | None, options: dict[str, Any]) -> Embedder | None:
    config = read_config_fast(gallery)
    if config is None:
        return None
    try:
        embedder = RememberingEmbedder(embedder_for(config, **options))
        _run_first(embedder, image)
    except Exception:  # opened again by the one who needs it, who hears what is wrong
        return None
    return embedder


def _run_first(embedder: Embedder, image: Path | None) -> None:
    if image is None or not _embed_file(embedder, image):
        run_once(embedder)


def _embed_file(embedder: Embedder, image: Path) -> bool:
    """Whether an image was embedded: a small one that can be read."""
    spec = embedder.spec
    try:
        if image.stat().st_size > SMALL_BYTES:
            return False
        seen = decode_views(read_file(str(image)), spec.preprocessing, spec.views)
    except (OSError, ImageError):  # said by the one who asks about it
        return False
    embed_views(embedder, [seen.pixels])
    return True
