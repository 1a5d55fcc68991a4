"""Opens a gallery's network while the rest of a command is still being imported.

Importing SQLAlchemy and FAISS takes half of the time of a search, on one core. Opening a network
needs neither and can use the other core meanwhile. A network's first run takes twice as long as
the next ones, so it is part of this; it runs on the query image where that is known.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cbir.arrays import Vectors
from cbir.catalog.location import read_config_fast
from cbir.config import EmbeddingSpec, Ground
from cbir.embedding import Embedder, embed_views, embedder_for, run_once
from cbir.errors import ImageError
from cbir.images import decode_views
from cbir.sources.paths import read_file

__all__ = ["Preload", "Preloaded", "start_preload"]

SWITCH_S = 0.0005
"""Seconds that imports may hold the interpreter lock while OpenVINO's thread waits for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Preloaded:
    """An open network, and the embedding of the query image if one was given."""

    embedder: Embedder
    embedding: Vectors | None = None
    """(D,) float32, unit norm."""
    embedding_ms: float = 0.0
    """Milliseconds that reading and embedding the image took."""


class Preload:
    """A network that is being opened in a thread."""

    def __init__(self, opening: Future[Preloaded | None]) -> None:
        self._opening = opening

    def result(self, spec: EmbeddingSpec) -> Preloaded | None:
        """The open network if it is of this spec; None where opening failed. Waits for it."""
        preloaded = self._opening.result()
        if preloaded is None or preloaded.embedder.spec.fingerprint != spec.fingerprint:
            return None
        return preloaded


def start_preload(gallery: Path, *, image: Path | None = None, **options: Any) -> Preload:
    """Start a thread that opens a gallery's network; options as of `Gallery.embedder`.

    `image` is the file of the query, if the query is one whole image: it is read, decoded and
    embedded here, and nowhere else.
    """
    sys.setswitchinterval(SWITCH_S)
    pool = ThreadPoolExecutor(1, "cbir-preload")
    opening = pool.submit(_open, gallery, image, options)
    pool.shutdown(wait=False)
    return Preload(opening)


def _open(gallery: Path, image: Path | None, options: dict[str, Any]) -> Preloaded | None:
    config = read_config_fast(gallery)
    if config is None:
        return None
    try:
        embedder = embedder_for(config, **options)
        if image is not None:
            started = time.perf_counter()
            embedding = _embed_file(embedder, image, config.ground)
            if embedding is not None:
                return Preloaded(embedder, embedding, 1000 * (time.perf_counter() - started))
        run_once(embedder)
    except Exception:  # the search opens it again, and reports what is wrong
        return None
    return Preloaded(embedder)


def _embed_file(embedder: Embedder, image: Path, ground: Ground) -> Vectors | None:
    """The embedding of an image file, (D,); None where the search reports something of it."""
    spec = embedder.spec
    try:
        data = read_file(str(image))
        decoded = decode_views(data, spec.preprocessing, spec.views, ground=ground)
    except ImageError:
        return None
    if any(remark.kind == "blank" for remark in decoded.remarks):  # the search has to know it
        return None
    embedding: Vectors = embed_views(embedder, [decoded.pixels])[0]
    return embedding
