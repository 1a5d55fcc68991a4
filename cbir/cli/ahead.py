"""A gallery's network, opened while the rest of a command is still being imported.

Half of what a search takes is importing SQLAlchemy and FAISS, on one core. Opening a network is
mostly work of OpenVINO's own, which needs none of that and lets the other core do it meanwhile.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cbir.config import EmbeddingSpec
from cbir.embedding import Embedder, embedder_for, run_once
from cbir.storage.peek import peek_config

__all__ = ["Ahead", "open_ahead"]

SWITCH_S = 0.0005
"""How long imports may keep the interpreter from OpenVINO's thread, which needs it for moments."""


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


def open_ahead(gallery: Path, **options: Any) -> Ahead:
    """Begin to open the network of a gallery; the options are those of `Gallery.embedder`."""
    sys.setswitchinterval(SWITCH_S)
    pool = ThreadPoolExecutor(1, "cbir-ahead")
    opening = pool.submit(_open, gallery, options)
    pool.shutdown(wait=False)
    return Ahead(opening)


def _open(gallery: Path, options: dict[str, Any]) -> Embedder | None:
    config = peek_config(gallery)
    if config is None:
        return None
    try:
        embedder = embedder_for(config, **options)
        run_once(embedder)
    except Exception:  # opened again by the one who needs it, who hears what is wrong
        return None
    return embedder
