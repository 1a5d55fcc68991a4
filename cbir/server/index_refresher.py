"""Keeps the vector index of a served gallery up to date, beside the requests."""

from __future__ import annotations

import logging
import threading

from cbir.gallery import Gallery

__all__ = ["IndexRefresher"]

log = logging.getLogger(__name__)


class IndexRefresher:
    """A thread that brings a gallery's indexes up to date with its catalogue at regular intervals.

    So changes by other processes appear without a restart, and no search waits for them. The same
    thread opens the indexes, and builds those that are missing or damaged; until that is done,
    searches scan the catalogue.
    """

    def __init__(self, gallery: Gallery, *, every_s: float) -> None:
        gallery.search_without_waiting()
        self._gallery = gallery
        self._every_s = every_s
        self._stop = threading.Event()
        self.ready = threading.Event()
        """Set once the indexes have been brought up to date."""
        self._thread = threading.Thread(target=self._run, name="cbir-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last_error = ""
        while not self._stop.is_set():
            try:
                self._gallery.update_indexes()
                self.ready.set()
                last_error = ""
            except Exception as error:  # the catalogue may be locked or gone for a while
                if str(error) != last_error:
                    log.warning("the vector index cannot be brought up to date: %s", error)
                last_error = str(error)
            self._stop.wait(self._every_s)
