"""Searches a gallery for duplicates in the background, as this takes longer than a request."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TypeAlias

from cbir.duplicates import Duplicates, find_duplicates
from cbir.errors import CbirError
from cbir.gallery import Gallery

__all__ = ["DuplicateSearch", "FoundDuplicates", "SearchProgress"]

log = logging.getLogger(__name__)

State: TypeAlias = "tuple[int, int]"
"""What a result depends on: the catalogue's generation, and a hash of the dismissed pairs."""


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """The progress of a search for duplicates."""

    stage: str = "describing"
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class FoundDuplicates:
    """The result of a search, and whether the gallery is unchanged since."""

    duplicates: Duplicates
    current: bool


class _StopError(Exception):
    """The server is shutting down."""


class DuplicateSearch:
    """Runs a search for duplicates on demand, once for each state of the gallery."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: dict[bool, threading.Thread] = {}
        self._progress: dict[bool, SearchProgress] = {}
        self._results: dict[bool, tuple[State, Duplicates]] = {}
        self._errors: dict[bool, CbirError] = {}

    def result(self, *, verify: bool) -> FoundDuplicates | SearchProgress:
        """The last result, or the progress of the first search.

        Starts a search if the gallery has changed since the last one. Raises the error of a failed
        search.
        """
        state = self._state()
        with self._lock:
            if (error := self._errors.pop(verify, None)) is not None:
                raise error
            last = self._results.get(verify)
            current = last is not None and last[0] == state
            thread = self._threads.get(verify)
            if not current and (thread is None or not thread.is_alive()):
                self._progress[verify] = SearchProgress()
                self._threads[verify] = threading.Thread(
                    target=self._run, args=(verify, state), name="cbir-duplicates"
                )
                self._threads[verify].start()
            return self._progress[verify] if last is None else FoundDuplicates(last[1], current)

    def close(self) -> None:
        """Stop a running search; the descriptors that it has computed so far stay stored."""
        self._stop.set()
        for thread in self._threads.values():
            thread.join()

    def _run(self, verify: bool, state: State) -> None:
        def report(stage: str, done: int, total: int) -> None:
            self._progress[verify] = SearchProgress(stage, done, total)
            if self._stop.is_set():
                raise _StopError

        try:
            duplicates = find_duplicates(self._gallery, verify=verify, progress=report)
        except _StopError:
            return
        except CbirError as error:
            with self._lock:
                self._errors[verify] = error
        except Exception:
            log.exception("the search for duplicates failed")
            with self._lock:
                self._errors[verify] = CbirError("the search for duplicates failed; see the log")
        else:
            with self._lock:
                self._results[verify] = state, duplicates

    def _state(self) -> State:
        catalog = self._gallery.catalog
        return catalog.generation(), hash(tuple(catalog.dismissed()))
