"""Changes by other processes come into the index behind the back of every search."""

from __future__ import annotations

import logging
import threading

from cbir.gallery import Gallery

__all__ = ["IndexRefresher"]

log = logging.getLogger(__name__)


class IndexRefresher:
    """A thread that keeps a gallery's vector index up to date with its catalogue.

    The index is opened, and built where its file is missing or damaged, by the same thread: until
    that is done the gallery answers by reading all embeddings.
    """

    def __init__(self, gallery: Gallery, *, every_s: float) -> None:
        gallery.search_without_waiting()
        self._gallery = gallery
        self._every_s = every_s
        self._stop = threading.Event()
        self.ready = threading.Event()
        """Set when the index is there."""
        self._thread = threading.Thread(target=self._run, name="cbir-follow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                self._gallery.update_indexes()
                self.ready.set()
                said = ""
            except Exception as error:  # the catalogue may be locked or gone for a while
                if str(error) != said:
                    log.warning("the vector index is behind: %s", error)
                said = str(error)
            self._stop.wait(self._every_s)
