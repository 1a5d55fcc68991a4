"""Duplicates of a whole gallery take a while: they are looked for beside the requests."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TypeAlias

from cbir.duplicates import Duplicates, find_duplicates
from cbir.errors import CbirError
from cbir.gallery import Gallery

__all__ = ["DuplicateSearch", "Found", "SearchProgress"]

log = logging.getLogger(__name__)

Level: TypeAlias = "tuple[int, int]"
"""What a result depends on: the gallery's generation, and which pairs were dismissed."""


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search for duplicates has come."""

    stage: str = "describing"
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and whether the gallery is still as it was then."""

    duplicates: Duplicates
    current: bool


class _StopError(Exception):
    """The server ends."""


class DuplicateSearch:
    """Looks for duplicates when somebody asks, once for each state of the gallery."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: dict[bool, threading.Thread] = {}
        self._progress: dict[bool, SearchProgress] = {}
        self._found: dict[bool, tuple[Level, Duplicates]] = {}
        self._failed: dict[bool, CbirError] = {}

    def ask(self, *, verify: bool) -> Found | SearchProgress:
        """What is known by now; a search begins where the gallery has changed since.

        Raises what a search that began before has ended with.
        """
        level = self._level()
        with self._lock:
            if (error := self._failed.pop(verify, None)) is not None:
                raise error
            known = self._found.get(verify)
            current = known is not None and known[0] == level
            thread = self._threads.get(verify)
            if not current and (thread is None or not thread.is_alive()):
                self._progress[verify] = SearchProgress()
                self._threads[verify] = threading.Thread(
                    target=self._find, args=(verify, level), name="cbir-duplicates"
                )
                self._threads[verify].start()
            return self._progress[verify] if known is None else Found(known[1], current)

    def close(self) -> None:
        """End a search under way; what it has made of images so far is kept."""
        self._stop.set()
        for thread in self._threads.values():
            thread.join()

    def _find(self, verify: bool, level: Level) -> None:
        def tell(stage: str, done: int, total: int) -> None:
            self._progress[verify] = SearchProgress(stage, done, total)
            if self._stop.is_set():
                raise _StopError

        try:
            found = find_duplicates(self._gallery, verify=verify, progress=tell)
        except _StopError:
            return
        except CbirError as error:
            with self._lock:
                self._failed[verify] = error
        except Exception:
            log.exception("the search for duplicates")
            with self._lock:
                self._failed[verify] = CbirError("the search for duplicates failed; see the log")
        else:
            with self._lock:
                self._found[verify] = level, found

    def _level(self) -> Level:
        catalog = self._gallery.catalog
        return catalog.generation(), hash(tuple(catalog.dismissed()))
